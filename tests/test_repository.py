import ast
import importlib
import importlib.metadata
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tyro
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from portraitseg.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
SCRIPTS = ("train.py", "eval.py", "export.py", "test.py")
CI = (ROOT / ".ci/run").read_text()
README = (ROOT / "README.md").read_text()


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    found = [Requirement(line) for lines in (PROJECT["dependencies"], *extras) for line in lines]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]  # an extra that takes in others


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def shell_commands(markdown: str) -> list[str]:
    """The single commands of the fenced shell blocks, without comments, continued lines joined."""
    blocks = "\n".join(re.findall(r"^```bash\n(.*?)^```", markdown, re.M | re.S)).replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in blocks.splitlines())
    return [command.strip() for line in lines for command in line.split("&&") if command.strip()]


def test_constraints_are_plain_pins() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+]*", line), line


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    for requirement in requirements():
        pin = pins().get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is missing in constraints.txt"
        assert requirement.specifier.contains(pin), f"{requirement} does not admit the pinned {pin}"


def test_both_opencv_wheels_have_one_version() -> None:
    assert pins()["opencv-python"] == pins()["opencv-python-headless"]


def test_every_imported_package_is_declared() -> None:
    owners = importlib.metadata.packages_distributions()
    elsewhere = [Requirement(line) for lines in PYPROJECT["dependency-groups"].values() for line in lines]
    declared = {canonicalize_name(requirement.name) for requirement in (*requirements(), *elsewhere)}
    for path in (ROOT / "portraitseg").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
        for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"portraitseg"}:
            owned_by = {canonicalize_name(name) for name in owners.get(top, [top])}
            assert owned_by & declared, f"{path.relative_to(ROOT)} imports {top}, which pyproject.toml does not declare"


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_only_call_their_command(script: str) -> None:
    source = (ROOT / script).read_text()
    assert len(source.splitlines()) <= 5
    assert f'main("{script.removesuffix(".py")}")' in source


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("portraitseg portraitseg.cli", "tensorflow tf_keras cv2 numpy"),
        ("portraitseg.card portraitseg.image portraitseg.sheet portraitseg.metrics", "tensorflow tf_keras matplotlib PIL scipy"),
        ("portraitseg.runtime portraitseg.runtime.keras portraitseg.cli.test", "tensorflow tf_keras matplotlib PIL scipy"),
        ("portraitseg.cli.delegates", "tensorflow tf_keras matplotlib PIL scipy"),
    ],
)
def test_imports_stay_light(modules: str, unwanted: str) -> None:
    code = f"import sys; [__import__(name) for name in {modules.split()}]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(modules.split()) <= set(loaded)
    assert not set(unwanted.split()) & set(loaded)


def test_ci_runs_the_commands_of_the_readme() -> None:
    setup = shell_commands(README)[:4]
    assert [command.split()[0] for command in setup] == ["pip", "python", "pip", "pytest"]
    for command in setup:
        assert re.search(rf"^{re.escape(command)}( --quick .*)?$", CI, re.M), f"{command!r} is not in .ci/run"


def test_checks_are_the_same_everywhere() -> None:
    contributing = shell_commands((ROOT / "CONTRIBUTING.md").read_text())
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    for check in ("ruff check", "ruff format --check", "mypy", "lint-imports"):
        assert any(command.startswith(check) for command in contributing), check
        assert re.search(rf"^ +entry: {check}\b", hooks, re.M), check
        assert re.search(rf"^{check}\b", CI, re.M), check


def test_hooks_are_fetched_from_nowhere() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}


def test_documented_commands_have_the_flags_that_they_name() -> None:
    seen = set()
    for command in shell_commands(README):
        words = shlex.split(command)
        if words[0] == "python" and words[1] in SCRIPTS:
            words = [words[1].removesuffix(".py"), *words[2:]]
        elif words[0] == "portraitseg":
            words = words[1:]
        else:
            continue
        name = " ".join(words[:2]) if " ".join(words[:2]) in COMMANDS else words[0]
        module = importlib.import_module(f"portraitseg.cli.{re.sub('[ -]', '_', name)}")
        tyro.cli(module.Config, args=words[len(name.split()) :])  # exits on an argument that it does not know
        seen.add(name)
    assert seen == set(COMMANDS), "a command that the README does not show"
