"""The command `portraitseg delegates`, from file to exit code."""

import json
from pathlib import Path

import pytest

from portraitseg.cli import main
from portraitseg.export.delegates import edgetpu_compiler
from portraitseg.export.delegates.edgetpu_compiler import Log
from tests.export.delegates import graphs


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "net.tflite"
    path.write_bytes(graphs.graph(graphs.leaky).content)
    return path


def test_every_delegate_is_reported_with_layers_reasons_and_remedies(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("delegates", [str(artifact)]) == 0
    text = capsys.readouterr().out
    for title in ("XNNPACK", "GPU delegate", "NNAPI", "QNN", "Hexagon", "Edge TPU"):
        assert f"\n{title}" in text
    assert "left: LEAKY_RELU 1: not among its operations\n      in leaky\n      change: ReLU" in text
    assert "cut off: CONV_2D 2, QUANTIZE 1" in text
    assert "source: https://coral.ai/" in text


def test_json_has_the_same_for_programs(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("delegates", [str(artifact), "--json", "--only", "edgetpu", "gpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ops"] == {"CONV_2D": 3, "QUANTIZE": 2, "LEAKY_RELU": 1}
    assert set(found["delegates"]) == {"edgetpu", "gpu"}
    edgetpu = found["delegates"]["edgetpu"]
    assert (edgetpu["whole"], edgetpu["parts"], edgetpu["taken"], edgetpu["cut_off"]) == (
        False, 1, {"QUANTIZE": 1, "CONV_2D": 1}, {"CONV_2D": 2, "QUANTIZE": 1}
    )  # fmt: skip
    assert edgetpu["reasons"][0]["layers"] == ["leaky"]


@pytest.mark.parametrize(("required", "code"), [(["gpu"], 0), (["edgetpu"], 1), (["gpu", "edgetpu"], 1), (["qnn"], 0), (["nnapi"], 0)])
def test_require_sets_the_exit_code(artifact: Path, required: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("delegates", [str(artifact), "--only", "xnnpack", "--require", *required]) == code
    assert ("would leave ops to the CPU" in capsys.readouterr().err) == bool(code)


def test_the_compilers_word_counts_where_it_is_installed(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact.write_bytes(graphs.graph(graphs.averaged).content)
    assert main("delegates", [str(artifact), "--require", "edgetpu"]) == 0
    log = Log(version="16", rows={("CONV_2D", "Mapped to Edge TPU"): 2, ("MEAN", "Operation not supported"): 1})
    monkeypatch.setattr(edgetpu_compiler, "compile_file", lambda path: log)
    assert main("delegates", [str(artifact), "--require", "edgetpu"]) == 1
    assert "differs: MEAN: 0 mapped, we said 1 (1: Operation not supported)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.tflite", None, "cannot read"),
        ("text.tflite", b"not a model", "TFL3"),
        ("cut.tflite", b"\x1c\0\0\0TFL3\xff\xff", "not a whole"),
    ],
)
def test_bad_files_end_in_one_line(
    name: str, content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main("delegates", [str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_api_levels_before_nnapi_are_refused(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("delegates", [str(artifact), "--android-api", "26"]) == 2
    assert "at least 27" in capsys.readouterr().err
