"""What TensorBoard, MLflow's database and W&B's offline files hold after a run that was stopped and resumed, against log.csv."""

import csv
import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import archs
from portraitseg.cli import main
from portraitseg.training import report, tracking
from portraitseg.training.config import TrainConfig
from tests.tiny import SPEC, write_discs

STEPS = 10
"""Steps an epoch: 40 pictures in batches of 4."""
EPOCHS = 3


@pytest.fixture(autouse=True)
def tiny_arch(monkeypatch, tmp_path):
    monkeypatch.setitem(archs.ARCHS, "tiny", SPEC)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):  # what the services set for themselves
        os.environ.pop(name)


@pytest.fixture
def data(tmp_path) -> Path:
    return write_discs(tmp_path / "pictures", train=40, val=6)


def train(data: Path, *words: str) -> int:
    return main("train", ["--data", str(data), "--arch", "tiny", "--epochs", str(EPOCHS), "--batch", "4", "--name", "run", *words])


def stopped_and_resumed(data: Path, monkeypatch, *words: str) -> Path:
    """A run that gets Ctrl-C in the middle of its second epoch and goes on to its end: the run's folder."""
    step = report.Log.step

    def stopping(self, number, loss, lr):
        step(self, number, loss, lr)
        if number == STEPS + 5:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(report.Log, "step", stopping)
        assert train(data, *words) == 130
    assert main("train", ["--resume", "runs/run"]) == 0
    return Path("runs/run")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def numbers(row: dict[str, str]) -> dict[str, float]:
    return {key: float(value) for key, value in row.items() if key not in ("epoch", "phase")}


def test_tensorboard_has_every_step_every_epoch_and_pictures(data, monkeypatch):
    folder = stopped_and_resumed(data, monkeypatch, "--schedule", "constant", "--warmup", "19", "--lr", "0.02")
    values: dict[str, dict[int, tf.Tensor]] = {}
    for path in sorted((folder / "tensorboard").iterdir(), key=lambda path: path.name):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                values.setdefault(value.tag, {})[event.step] = tf.make_ndarray(value.tensor)
    rates = values["step/lr"]
    assert sorted(rates) == list(range(1, EPOCHS * STEPS + 1))
    assert [float(rates[step]) for step in (1, 10, 20, 30)] == pytest.approx([0.001, 0.01, 0.02, 0.02])  # a rise over 20 steps
    rows = table(folder)
    losses = [float(values["step/loss"][step]) for step in range(1, 11)]
    assert np.mean(losses) == pytest.approx(float(rows[0]["loss"]), rel=1e-6)
    for key, wanted in numbers(rows[2]).items():
        assert float(values[key][3]) == pytest.approx(wanted, rel=1e-6), key
    width, height, *pictures = values["samples"][3]
    assert (int(width), int(height), len(pictures)) == (4 * 160 + 3 * 4, 160, 4)
    shown = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    first = cv2.imread(str(data / "val/masks/val0.png"), cv2.IMREAD_GRAYSCALE)
    truth = shown[13:147, 164:324, 0]  # the second panel: 160 wide, 160 * 40 / 48 high
    assert np.abs(cv2.resize(first, (160, 134), interpolation=cv2.INTER_AREA).astype(int) - truth).mean() < 6


@pytest.mark.slow
def test_mlflow(data, monkeypatch):
    folder = stopped_and_resumed(data, monkeypatch, "--track", "mlflow")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('runs/mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("portraitseg")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert {key: json.loads(value) for key, value in run.data.params.items()} == json.loads((folder / "config.json").read_text())
    for key in numbers(table(folder)[0]):
        logged = {point.step: point.value for point in client.get_metric_history(run.info.run_id, key)}
        assert logged == {int(row["epoch"]): float(row[key]) for row in table(folder)}, key
        assert len(client.get_metric_history(run.info.run_id, key)) == EPOCHS
    card = json.loads((folder / "best.json").read_text())
    assert {key: run.data.metrics[f"best_{key}"] for key in card["metrics"]} == card["metrics"]
    artifacts = Path("runs/mlartifacts") / run.info.run_id / "artifacts"
    assert {path.name for path in artifacts.iterdir()} == {"best.h5", "best.json", "log.csv", "curves.png", "sheet.png"}
    for path in artifacts.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes()


def records(path: Path) -> list:
    """The records of a .wandb file, once the last one is there: wandb's own process may still be writing when the run has ended."""
    for _ in range(100):
        found = _records(path)
        if found and found[-1].WhichOneof("record_type") == "exit":
            break
        time.sleep(0.2)
    return found


def _records(path: Path) -> list:
    """LevelDB's log format (blocks of 32 KiB, records in pieces) after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, found, piece, place = path.read_bytes(), [], b"", 7
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        piece += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            found.append(Record.FromString(piece))
            piece = b""
    return found


def history_rows(found: list) -> list[dict]:
    return [_values(record.history.item) for record in found if record.WhichOneof("record_type") == "history"]


def test_a_service_that_fails_gets_the_rows_the_next_time(tmp_path, monkeypatch, capsys):
    import wandb

    log, failures = tracking.Wandb.log, iter([False, True, False, False])

    def failing(self, row):
        if next(failures):
            raise wandb.Error("no answer\nfrom the server")
        log(self, row)

    monkeypatch.setattr(tracking.Wandb, "log", failing)
    history = [{"epoch": epoch, "phase": "all", "loss": 1 / epoch} for epoch in (1, 2, 3)]
    with tracking.tracked(TrainConfig(track="wandb"), tmp_path / "run", "run") as tracked:
        for epoch in (1, 2, 3):
            tracked.write(history[:epoch])
            assert (capsys.readouterr().err == "warning: tracking failed (no answer); the training goes on\n") == (epoch == 2)
    (path,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    assert [(row["epoch"], row["loss"]) for row in history_rows(records(path))] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_wandb_offline(data, monkeypatch):
    folder = stopped_and_resumed(data, monkeypatch, "--track", "wandb")
    run = json.loads((folder / "tracking.json").read_text())["run"]
    files = sorted((folder / "wandb").glob(f"offline-run-*-{run}/run-{run}.wandb"))
    assert len(files) == len(list((folder / "wandb").glob("offline-run-*"))) == 2  # before and after the stop, one id
    found = [record for path in files for record in records(path)]
    started = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert {(one.run_id, one.project, one.display_name) for one in started} == {(run, "portraitseg", "run")}
    settings = {item.key: json.loads(item.value_json) for item in started[0].config.update}
    assert json.loads((folder / "config.json").read_text()).items() <= settings.items()
    epochs = [row for row in history_rows(found) if "loss" in row]
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    for logged, row in zip(epochs, table(folder), strict=True):
        assert {key: logged[key] for key in numbers(row)} == numbers(row)
    card = json.loads((folder / "best.json").read_text())
    (artifact,) = [record.artifact for record in found if record.WhichOneof("record_type") == "artifact"]
    assert artifact.type == "model"
    assert json.loads(artifact.metadata) == card
    kept = {entry.path: Path(entry.local_path).read_bytes() for entry in artifact.manifest.contents}
    assert kept == {name: (folder / name).read_bytes() for name in ("best.h5", "best.json", "log.csv", "curves.png", "sheet.png")}
    assert all(folder.resolve() in Path(entry.local_path).parents for entry in artifact.manifest.contents)
    summary = {key: value for record in found for key, value in _values(record.summary.update).items()}
    assert summary["best_miou"] == card["metrics"]["miou"]


def _values(items) -> dict:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


@pytest.mark.parametrize("service", ["wandb", "mlflow"])
def test_a_missing_package_is_said_before_the_work(data, monkeypatch, capsys, service):
    monkeypatch.setitem(sys.modules, service, None)
    assert train(data, "--track", service) == 2
    message = capsys.readouterr().err
    assert message == (
        f'error: this needs the Python package "{service}", which is not installed; '
        f'install it with: pip install -c constraints.txt -e ".[{service}]"\n'
    )
    assert not Path("runs").exists()


def test_a_service_that_cannot_be_started(data, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "carrier-pigeon://loft")
    assert train(data, "--track", "mlflow") == 2
    assert "error: mlflow cannot be started: " in capsys.readouterr().err
