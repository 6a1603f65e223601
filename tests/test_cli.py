"""The dispatcher: what it prints, and that errors of users end in one line and exit code 2."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import portraitseg
from portraitseg import cli
from portraitseg.errors import InputError

ROOT = Path(__file__).parents[1]


def test_usage_names_every_command(capsys):
    for words in ([], ["--help"]):
        assert cli.main(argv=words) == 0
        printed = capsys.readouterr().out
        assert all(f"  {name} " in printed for name in cli.COMMANDS)


def test_version(capsys):
    assert cli.main(argv=["--version"]) == 0
    assert capsys.readouterr().out.strip() == portraitseg.__version__


def test_unknown_command(capsys):
    assert cli.main(argv=["segment"]) == 2
    assert "unknown command 'segment'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("say this"), 2), (ImportError("say this"), 2), (OSError("say this"), 2), (KeyboardInterrupt(), 130)],
)
def test_errors_of_users_have_no_traceback(monkeypatch, capsys, error, code):
    from portraitseg.cli import archs

    def run(config):
        raise error

    monkeypatch.setattr(archs, "run", run)
    assert cli.main(argv=["archs"]) == code
    message = capsys.readouterr().err
    assert message == ("interrupted\n" if code == 130 else "error: say this\n")


def test_a_package_that_is_not_installed_comes_with_its_pip_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    monkeypatch.delitem(sys.modules, "portraitseg.cli.archs", raising=False)
    monkeypatch.delitem(sys.modules, "portraitseg.archs", raising=False)
    assert cli.main(argv=["archs"]) == 2
    assert 'pip install -c constraints.txt -e ".[train]"' in capsys.readouterr().err


def test_faults_of_ours_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(importlib.import_module("portraitseg.cli.archs"), "run", lambda config: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(argv=["archs"])


def test_a_script_of_the_top_level_runs_its_command():
    done = subprocess.run([sys.executable, ROOT / "test.py", "nowhere.jpg"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
