"""Several replicas against one: their rows, their weights, and what happens when one of them ends."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import archs
from portraitseg.cli import main
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.pipeline import Share, train_batches
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError
from portraitseg.training.distribute import Devices, place
from tests.tiny import write_discs

TWO = {"worker": ["a:1", "b:1"]}

PROGRAM = """
import os, sys
from portraitseg.quiet import load_tensorflow
tf = load_tensorflow()
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(os.environ["CPUS"]))
from portraitseg import archs, layers
from portraitseg.cli import main

def tiny(x, *, wm, classes):
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, stride=2, bias=False, name="enc_conv"), name="enc_bn"), name="enc_relu")
    x = layers.Dropout(DROPOUT, name="dec_dropout")(x)
    x = layers.relu(layers.norm(layers.conv(x, 8, 3, bias=False, name="dec_conv"), name="dec_bn"), name="dec_relu")
    return layers.conv(layers.upsample(x, name="dec_up"), classes, 1, name="head_conv")

archs.ARCHS["tiny"] = archs.ArchSpec(builder=tiny, size=32, wm=1.0, encoder="mobilenet_v2", paper="-")
sys.exit(main("train", sys.argv[1:]))
"""
"""`train` with a net of two convolutions on CPUS devices."""


@pytest.mark.parametrize("skip", [0, 1])
def test_workers_read_their_rows_of_every_batch_and_no_others(skip):
    loaded = []

    class Watched(Synthetic):
        def load(self, index):
            loaded.append(index)
            return super().load(index)

    source, card = Watched(14, seed=0, size=32), archs.new_card("munet_mnv2", size=32)
    settings = {"batch": 6, "seed": 3, "epoch": 1, "augment": AugmentConfig(), "skip": skip}
    whole = list(train_batches(source, card, **settings))
    assert len(whole) == 2 - skip
    for worker in range(2):
        loaded.clear()
        part = list(train_batches(source, card, **settings, share=Share(batch=6, worker=worker, workers=2)))
        assert len(part) == len(whole)
        for mine, all_ in zip(part, whole, strict=True):
            for key in ("index", "x", "mask"):
                np.testing.assert_array_equal(mine[key], all_[key][3 * worker : 3 * worker + 3])
        assert len(loaded) == 3 * len(whole)


def test_of_an_accumulated_batch_each_part_is_shared():
    draws = np.arange(16)  # two steps of two parts of four
    assert Share(batch=4, worker=1, workers=2).of(draws).tolist() == [2, 3, 6, 7, 10, 11, 14, 15]


@pytest.mark.parametrize(
    ("cluster", "task", "wanted"),
    [
        (TWO, {"type": "worker", "index": 1}, (1, 2)),
        ({"worker": ["a:1"]}, {"type": "worker", "index": 0}, (0, 1)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, {"type": "chief", "index": 0}, (0, 3)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, {"type": "worker", "index": 1}, (2, 3)),
    ],
)
def test_place_in_the_cluster(cluster, task, wanted):
    assert place(json.dumps({"cluster": cluster, "task": task})) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "TF_CONFIG is not set; every worker needs one such as"),
        ("{cluster", "TF_CONFIG is not understood"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG is not understood"),
        (json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 2}}), "there is no worker 2"),
        (json.dumps({"cluster": TWO, "task": {"type": "ps", "index": 0}}), "TF_CONFIG is not understood"),
    ],
)
def test_a_wrong_tf_config_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        place(text)


def test_refusals(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert main("train", ["--strategy", "multiworker"]) == 2
    assert "error: --strategy multiworker: TF_CONFIG is not set" in capsys.readouterr().err
    assert main("train", ["--strategy", "multiworker", "--rounds", "2", "--unlabelled", "."]) == 2
    assert "--rounds are for one machine" in capsys.readouterr().err
    assert main("lr-find", ["--strategy", "mirrored"]) == 2
    assert "leave out --strategy" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    devices = Devices()
    devices.replicas = 3
    devices.check(15)
    with pytest.raises(InputError, match="3 replicas, which 16 cannot be evenly; try 15"):
        devices.check(16)


def test_each_worker_has_noise_of_its_own_and_finds_it_again():
    generator = tf.random.get_global_generator()

    def noise(worker: int, state: tf.Tensor | None = None) -> tuple[np.ndarray, tf.Tensor]:
        generator.reset_from_seed(5)
        if state is not None:
            generator.state.assign(state)
        Devices(worker=worker, workers=3).part_noise()
        drawn, between, rest = generator.uniform([8]), tf.identity(generator.state), generator.uniform([8])
        return np.stack([drawn, rest]), between

    generator.reset_from_seed(5)
    alone = np.stack([generator.uniform([8]), generator.uniform([8])])
    first, saved = noise(0)
    second, _ = noise(1)
    np.testing.assert_array_equal(first, alone)
    assert not np.isin(second, first).any()
    np.testing.assert_array_equal(noise(1, saved)[0][0], second[1])  # the chief's state is what is saved


# --- whole runs, in processes of their own ---


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_discs(tmp_path_factory.mktemp("pictures"), train=80, val=8)


def start(folder: Path, *words: str, dropout: float = 0.0, cpus: int = 1, tf_config: str = "") -> subprocess.Popen:
    """A process that trains; what it says goes to FOLDER/said-NUMBER.log, a number for each."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"} | {"CPUS": str(cpus)}
    if tf_config:
        environment["TF_CONFIG"] = tf_config
    program = PROGRAM.replace("DROPOUT", str(dropout))
    log = folder / f"said-{len(list(folder.glob('said-*')))}.log"
    with log.open("w") as said:
        return subprocess.Popen([sys.executable, "-c", program, *words], cwd=folder, env=environment, stdout=said, stderr=said)


def start_two(folder: Path, *words: str, dropout: float = 0.0) -> list[subprocess.Popen]:
    """Two workers on free ports of this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
    for one in sockets:
        one.close()
    tasks = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    return [start(folder, *words, dropout=dropout, tf_config=task) for task in tasks]


def ends(processes: list[subprocess.Popen], folder: Path) -> list[int]:
    """Their exit codes."""
    try:
        return [process.wait(timeout=240) for process in processes]
    except subprocess.TimeoutExpired:
        pytest.fail("\n".join(path.read_text() for path in sorted(folder.glob("said-*"))))
    finally:
        for process in processes:
            process.kill()


def flags(data: Path, *words: str) -> list[str]:
    return ["--arch", "tiny", "--data", str(data), "--batch", "16", "--warmup", "2", "--epochs", "3", "--name", "run", *words]


def state(folder: Path) -> dict[str, np.ndarray]:
    """Weights and optimizer of the end."""
    with np.load(folder / "runs/run/last.state.npz") as file:
        return {key: file[key] for key in file.files if key not in ("progress", "generator")}


def table(folder: Path) -> list[dict[str, float]]:
    with (folder / "runs/run/log.csv").open() as file:
        return [{key: float(value) for key, value in row.items() if key not in ("phase", "seconds")} for row in csv.DictReader(file)]


def assert_close(first: Path, second: Path) -> None:
    one, two = state(first), state(second)
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_allclose(one[key], two[key], atol=3e-4, rtol=0, err_msg=key)
    for a, b in zip(table(first), table(second), strict=True):
        assert a == pytest.approx(b, abs=1e-2, rel=1e-4)  # mIoU in percent, of pictures of few pixels


def assert_equal(first: Path, second: Path) -> None:
    one, two = state(first), state(second)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[key], two[key]) for key in one)
    assert table(first) == table(second)


COMPOSED = ["--accumulate", "2", "--batch", "8", "--ema", "0.9", "--freeze-epochs", "1", "--clip-norm", "0.5", "--optimizer", "adamw"]


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], COMPOSED], ids=["plain", "composed"])
def test_two_replicas_come_to_the_weights_of_one(tmp_path, data, more):
    folders = {name: tmp_path / name for name in ("one", "mirrored", "two")}
    for folder in folders.values():
        folder.mkdir()
    words = flags(data, *more)
    assert ends([start(folders["one"], *words)], folders["one"]) == [0]
    assert ends([start(folders["mirrored"], *words, "--strategy", "mirrored", cpus=2)], folders["mirrored"]) == [0]
    assert ends(start_two(folders["two"], *words, "--strategy", "multiworker"), folders["two"]) == [0, 0]
    assert_close(folders["one"], folders["mirrored"])
    assert_close(folders["one"], folders["two"])
    untrained = np.ones(8, np.float32)  # the scale of batch norm: that it moved shows that something was learnt
    assert np.abs(state(folders["one"])["model_1"] - untrained).max() > 1e-3
    assert len(list((folders["two"] / "runs/run/tensorboard").iterdir())) == 1  # one writer
    said = [(folders["two"] / f"said-{number}.log").read_text() for number in range(2)]
    assert "best validation mIoU" in said[0]
    assert said[1].strip() == "worker 2 of 2, waiting for the others"


def wait_for_rows(folder: Path, count: int) -> None:
    for _ in range(2400):
        if (folder / "runs/run/log.csv").exists() and len(table(folder)) >= count:
            return
        time.sleep(0.05)
    pytest.fail("\n".join(path.read_text() for path in sorted(folder.glob("said-*"))))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "codes"), [(signal.SIGKILL, [1, -9]), (signal.SIGTERM, [130, 130])], ids=["killed", "terminated"])
def test_a_worker_that_ends_and_all_resumed_equal_the_uninterrupted(tmp_path, data, number, codes):
    """With dropout, whose noise the resumed workers have to find again."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    words = flags(data, "--strategy", "multiworker", "--epochs", "8", "--schedule", "constant", "--ema", "0.9")
    for folder in (whole, parts):
        folder.mkdir()
    assert ends(start_two(whole, *words, dropout=0.3), whole) == [0, 0]
    workers = start_two(parts, *words, dropout=0.3)
    wait_for_rows(parts, 2)
    workers[1].send_signal(number)
    assert ends(workers, parts) == codes
    said = (parts / "said-0.log").read_text()
    assert "--resume runs/run" in said
    assert ("another worker is gone" in said) == (number == signal.SIGKILL)
    assert 2 <= len(table(parts)) < 8
    assert ends(start_two(parts, "--resume", "runs/run", dropout=0.3), parts) == [0, 0]
    assert_equal(whole, parts)


@pytest.mark.slow
def test_a_worker_killed_before_the_first_epoch_ends(tmp_path, data):
    words = flags(data, "--strategy", "multiworker")
    workers = start_two(tmp_path, *words)
    while not (tmp_path / "runs/run/last.state.npz").exists():
        assert workers[0].poll() is None, (tmp_path / "said-0.log").read_text()
        time.sleep(0.02)
    workers[1].kill()
    assert ends(workers, tmp_path) == [1, -9]
    assert ends(start_two(tmp_path, "--resume", "runs/run"), tmp_path) == [0, 0]
    assert len(table(tmp_path)) == 3
