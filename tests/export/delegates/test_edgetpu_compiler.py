"""The compiler's output as users published it, and the call with a script in the compiler's place."""

import os
import stat
import sys
from pathlib import Path

import pytest

from portraitseg.export import delegates
from portraitseg.export.delegates import edgetpu_compiler
from portraitseg.export.delegates.edgetpu_compiler import Log, compare, compile_file, parse
from tests.export.delegates import graphs

# Of a YOLOv3-tiny: its first convolution is mapped, and all behind the first LEAKY_RELU is not.
PRINTED = """Edge TPU Compiler version 15.0.340273435

Model compiled successfully in 577 ms.

Input model: yolov3-tiny_int8.tflite
Input size: 8.58MiB
Output model: yolov3-tiny_int8_edgetpu.tflite
Output size: 8.70MiB
On-chip memory used for caching model parameters: 3.00KiB
On-chip memory remaining for caching model parameters: 7.67MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 36
Operation log: yolov3-tiny_int8_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU. A percentage of the model will instead run on the CPU, which is slower. If possible, consider updating your model to use only operations supported by the Edge TPU. For details, visit g.co/coral/model-reqs.
Number of operations that will run on Edge TPU: 2
Number of operations that will run on CPU: 34

Operator                       Count      Status

MAX_POOL_2D                    6          More than one subgraph is not supported
QUANTIZE                       2          Operation is otherwise supported, but not mapped due to some unspecified limitation
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          More than one subgraph is not supported
CONV_2D                        1          Mapped to Edge TPU
CONV_2D                        12         More than one subgraph is not supported
RESIZE_NEAREST_NEIGHBOR        1          Operation version not supported
LEAKY_RELU                     11         Operation not supported
CONCATENATION                  1          More than one subgraph is not supported
"""  # noqa: E501
# A log file, of tensorflow/tensorflow#42024.
LOGGED = """Edge TPU Compiler version 14.1.317412892
Input: yolov3-416-int8.tflite
Output: yolov3-416-int8_edgetpu.tflite

Operator                       Count      Status

DEQUANTIZE                     3          Operation is working on an unsupported data type
CONV_2D                        15         More than one subgraph is not supported
CONV_2D                        60         Mapped to Edge TPU
"""
# google-coral/edgetpu#845 and #358
UNREAD = """Edge TPU Compiler version 16.0.384591198
ERROR: Didn't find op for builtin opcode 'TRANSPOSE_CONV' version '4'. An older version of this builtin might be supported. Are you using an old TFLite binary with a newer model?

ERROR: Registration failed.

Invalid model: model_full_integer_quant.tflite
Model could not be parsed
"""  # noqa: E501
INTERNAL = "Edge TPU Compiler version 15.0.340273435\n\nInternal compiler error. Aborting! \n"


def test_the_printed_table_is_read() -> None:
    log = parse(PRINTED)
    assert log.version == "15.0.340273435"
    assert sum(log.rows.values()) == 36
    assert log.mapped == {"QUANTIZE": 1, "CONV_2D": 1}
    assert log.rows["RESIZE_NEAREST_NEIGHBOR", "Operation version not supported"] == 1
    assert (log.error, log.whole) == ("", False)


def test_the_log_file_is_read() -> None:
    log = parse(LOGGED)
    assert log.rows == {
        ("DEQUANTIZE", "Operation is working on an unsupported data type"): 3,
        ("CONV_2D", "More than one subgraph is not supported"): 15,
        ("CONV_2D", "Mapped to Edge TPU"): 60,
    }


@pytest.mark.parametrize(("text", "error"), [(UNREAD, "'TRANSPOSE_CONV' version '4'"), (INTERNAL, "Internal compiler error")])
def test_errors_are_read(text: str, error: str) -> None:
    log = parse(text)
    assert error in log.error
    assert (log.rows, log.whole) == ({}, False)


def test_the_compiler_of_2020_agrees_with_our_verdict_on_a_chain_of_that_kind() -> None:
    """As in the published log, two ops are mapped; only its counts differ, which `compare` does not look at."""
    assert compare(parse(PRINTED), delegates.examine("edgetpu", graphs.graph(graphs.leaky)))[1:] == ["no difference to the verdict above"]


def test_differences_are_named_with_the_compilers_reason() -> None:
    rows = {("CONV_2D", "Mapped to Edge TPU"): 1, ("CONV_2D", "Tensor has unsupported rank (up to 3 innermost dimensions mapped)"): 1}
    lines = compare(Log(version="16.0", rows=rows), delegates.examine("edgetpu", graphs.graph(graphs.averaged)))
    assert "edgetpu_compiler 16.0: maps 1 of 2 ops" in lines
    assert any(line.startswith("differs: CONV_2D: 1 mapped, we said 2 (1: Tensor has") for line in lines)
    assert any(line.startswith("differs: MEAN: 0 mapped, we said 1") for line in lines)


def test_a_refused_file_is_expected_where_we_said_so() -> None:
    refused = delegates.examine("edgetpu", graphs.graph(graphs.fused))
    assert compare(parse(UNREAD), refused)[0].endswith("(expected)")
    assert compare(parse(INTERNAL), delegates.examine("edgetpu", graphs.graph(graphs.mapped)))[0].endswith("not expected")


def _install(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A script in the compiler's place."""
    script = folder / "bin" / edgetpu_compiler.PROGRAM
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\n{body}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "with spaces; and more.tflite"
    path.write_bytes(graphs.graph(graphs.leaky).content)
    return path


def test_without_the_compiler_nothing_is_called(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(model.parent))
    assert compile_file(model) is None


def test_the_compiler_gets_a_copy_in_a_folder_of_its_own(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    body = (
        f"import os, sys\nopen({str(seen)!r}, 'w').write('\\n'.join([os.getcwd(), *sys.argv[1:]]))\n"
        f"assert open(sys.argv[-1], 'rb').read(8)[4:] == b'TFL3'\nopen('left_behind', 'w')\nprint({PRINTED!r})"
    )
    _install(tmp_path, monkeypatch, body)
    before = sorted(tmp_path.iterdir())
    log = compile_file(model)
    assert log is not None
    assert log.mapped.total() == 2
    folder, *arguments = seen.read_text().split("\n")
    assert arguments == ["--show_operations", "--out_dir", folder, f"{folder}/model.tflite"]
    assert not Path(folder).exists()
    assert set(tmp_path.iterdir()) - set(before) == {seen}


@pytest.mark.parametrize(
    ("body", "error"),
    [("import time; time.sleep(30)", "no answer"), ("import sys; sys.exit(7)", "exit code 7"), (f"print({UNREAD!r})", "TRANSPOSE_CONV")],
)
def test_a_compiler_that_fails_is_reported(body: str, error: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu_compiler, "LIMIT", 1)
    _install(tmp_path, monkeypatch, body)
    log = compile_file(model)
    assert log is not None
    assert error in log.error
    assert not log.whole
