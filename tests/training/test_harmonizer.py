"""Training a harmonizer: the filter as a graph, a run that learns, stops and goes on, and the file that comes of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from portraitseg import checkpoint
from portraitseg.archs import harmonizer
from portraitseg.card import Card, card_path
from portraitseg.cli import harmonizer as command
from portraitseg.compose.harmonize import NUMBERS, colour_filter
from portraitseg.data.harmonization import Pair
from portraitseg.data.sources import Dataset
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError
from portraitseg.export import tflite_report
from portraitseg.export.harmonizer import export, load
from portraitseg.live.harmonizer import open_harmonizer
from portraitseg.training.harmonizer import HarmonizerTrainer, filtered, person_error
from portraitseg.training.harmonizer_config import HarmonizerConfig


class Drawn:
    """Synthetic portraits, drawn once."""

    def __init__(self, count: int, seed: int) -> None:
        source = Synthetic(count, seed=seed, size=64)
        self.pairs = [source.load(index) for index in range(count)]

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return str(index)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.pairs[index]


DATASET = Dataset(train=Drawn(24, 0), val=Drawn(6, 1), report=[])


def config(folder: Path, **settings: object) -> HarmonizerConfig:
    return HarmonizerConfig(**{"out": folder, "size": 32, "batch": 8, "epochs": 2, **settings})


@pytest.fixture(scope="module", autouse=True)
def small_net() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(harmonizer, "STAGES", (8, 12))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> HarmonizerTrainer:
    """Two epochs of three steps."""
    trainer = HarmonizerTrainer(config(tmp_path_factory.mktemp("run")), DATASET)
    trainer.fit()
    return trainer


def test_the_graph_filters_as_the_runtime_does() -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (20, 30, 3), np.uint8)
    for numbers in random.normal(0, 0.7, (5, NUMBERS)).astype(np.float32):
        graph = filtered(tf.constant(image[None] / 255, tf.float32), tf.constant(numbers[None])).numpy()[0] * 255
        assert np.abs(graph - colour_filter(numbers)(image)).max() <= 2.5  # bytes between curve and matrix
        assert np.abs(graph - image).mean() > 3


def test_the_net_and_the_filter_agree_on_their_numbers() -> None:
    assert harmonizer.NUMBERS == NUMBERS
    assert harmonizer.build(32)(np.ones((2, 32, 32, 4), np.float32)).numpy().tolist() == [[0.0] * NUMBERS] * 2


def test_the_error_is_of_the_person_alone() -> None:
    composite, target = np.full((1, 4, 4, 3), 100, np.uint8), np.full((1, 4, 4, 3), 100, np.uint8)
    mask = np.zeros((1, 4, 4), np.uint8)
    mask[0, :2] = 255
    target[0, 0], target[0, 3] = 151, 0  # 51 = 0.2 of 255 in half of the person; a difference in the scene does not count
    error = person_error(lambda x, training: tf.zeros((1, NUMBERS)), Pair(composite, mask, target), training=False)
    assert error.numpy() == pytest.approx([0.02], abs=1e-5)


def test_it_learns_to_undo_one_change(tmp_path: Path) -> None:
    """Every person is darkened alike: after some steps the error is a fraction of what it was."""
    trainer = HarmonizerTrainer(config(tmp_path, lr=1e-2), DATASET)
    pair = next(trainer.train.batches(8, seed=0, epoch=0))
    dark = np.where(pair.mask[..., None] > 0, (pair.target * 0.6).astype(np.uint8), pair.target)
    step = tf.function(trainer._step)
    losses = [float(step(Pair(dark, pair.mask, pair.target))) for _ in range(60)]
    assert losses[-1] < 0.4 * losses[0]


def test_a_run_leaves_checkpoint_log_and_card(trained: HarmonizerTrainer) -> None:
    assert {path.name for path in trained.folder.iterdir()} == {"best.h5", "best.json", "log.csv", "state.npz"}
    card = Card.load(card_path(trained.best))
    assert (card.arch, card.size, card.channels, card.output) == ("harmonizer", (32, 32), 4, "filter")
    assert card.metrics["val_person_mse"] == min(row["val_person_mse"] for row in trained.progress.history)
    assert card.training["pictures"] == 24
    assert len((trained.folder / "log.csv").read_text().splitlines()) == 3


def test_the_best_epoch_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0, 30, 20, 25])  # before, then three epochs
    monkeypatch.setattr(HarmonizerTrainer, "_score", lambda self, identity=False: float(next(scores)))
    monkeypatch.setattr(HarmonizerTrainer, "_step", lambda self, pair: tf.constant(0.1))
    card = HarmonizerTrainer(config(tmp_path, epochs=3), DATASET).fit()
    assert card.metrics == {"val_person_mse": 20, "val_person_mse_before": 0}


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, trained: HarmonizerTrainer) -> None:
    stopped = HarmonizerTrainer(config(tmp_path), DATASET)

    def interrupt(*args: object) -> None:
        if stopped.progress.epoch == 1:
            raise KeyboardInterrupt
        epoch(*args)

    epoch, stopped._epoch = stopped._epoch, interrupt
    with pytest.raises(KeyboardInterrupt):
        stopped.fit()
    resumed = HarmonizerTrainer(config(tmp_path), DATASET, resume=True)
    assert resumed.progress.epoch == 1
    resumed.fit()
    assert resumed.progress.history == trained.progress.history
    for weight, expected in zip(resumed.net.get_weights(), trained.net.get_weights(), strict=True):
        assert np.array_equal(weight, expected)


def test_resuming_with_other_pictures_or_without_a_run(tmp_path: Path, trained: HarmonizerTrainer) -> None:
    fewer = Dataset(train=Drawn(16, 0), val=DATASET.val, report=[])
    with pytest.raises(InputError, match=r"the run had 24 pictures, size 32, now there are 16 pictures"):
        HarmonizerTrainer(config(trained.folder), fewer, resume=True)
    with pytest.raises(InputError, match="no run to resume"):
        HarmonizerTrainer(config(tmp_path), DATASET, resume=True)


def test_a_batch_larger_than_the_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"24 pictures are less than a batch of 32; give more, or lower --batch"):
        HarmonizerTrainer(config(tmp_path, batch=32), DATASET)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 48}, "multiple of 32, got 48"),
        ({"epochs": 0}, "--epochs must be at least 1"),
        ({"lr": 3.0}, "--lr must lie between 0 and 1"),
    ],
)
def test_settings_are_checked(tmp_path: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(tmp_path, **settings).check()


def test_float_and_int8_files_do_what_the_net_does(tmp_path: Path, trained: HarmonizerTrainer) -> None:
    net, _ = load(trained.best)
    head = net.get_layer("head_numbers")  # an untrained head is nearly 0, which anything agrees with
    head.set_weights([np.random.default_rng(0).normal(0, 0.3, weight.shape) for weight in head.get_weights()])
    checkpoint.save(net, Card.load(card_path(trained.best)), tmp_path / "best.h5")
    picture, mask = DATASET.val.load(0)
    background = picture[::-1].copy()
    x = np.concatenate([picture, mask[..., None]], axis=-1)[None].astype(np.float32) / 255
    for quant, most in (("fp32", 1e-4), ("int8", 0.15)):
        path = export(tmp_path / "best.h5", tmp_path, quant, trained.train)
        assert path.name == f"harmonizer-wm100-32-{quant}.tflite"
        assert Card.load(card_path(path)).quant == quant
        opened = open_harmonizer(path, every=1, memory=0)
        exact = net(tf.image.resize(x, (32, 32))).numpy()[0]
        assert np.ptp(exact) > 0.5
        given = opened.numbers(picture, mask, picture)  # the picture before itself
        assert np.abs(given - exact).max() < most + 0.02  # bytes at the small size
        assert opened(picture, mask, background).shape == picture.shape


def test_int8_is_one_partition_without_float_tensors(tmp_path: Path, trained: HarmonizerTrainer) -> None:
    report = tflite_report.inspect(export(trained.best, tmp_path, "int8", trained.train).read_bytes())
    assert report.partitions == 1
    assert not report.float_tensors
    assert (report.input.dtype, report.input.zero_point) == ("uint8", 0)
    assert report.input.scale == pytest.approx(1 / 255)
    assert report.size < 1_000_000


class TestCommand:
    """`portraitseg harmonizer`."""

    @pytest.fixture(autouse=True)
    def small_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("portraitseg.data.sources.open_data", lambda *args, **kwargs: DATASET)

    @pytest.mark.slow  # 20 s: four files are exported
    def test_it_trains_exports_and_refuses_to_do_so_again(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        settings = command.Config(out=tmp_path / "run", size=32, batch=8, epochs=1)
        assert command.run(settings) == 0
        assert "harmonizer-wm100-32-int8.tflite" in capsys.readouterr().out
        with pytest.raises(InputError, match=r"exists already; go on with --resume"):
            command.run(settings)
        with pytest.raises(InputError, match=r"leave out --epochs, --batch, --size"):
            command.run(command.Config(resume=tmp_path / "run", size=32, batch=8, epochs=3))
        assert command.run(command.Config(resume=tmp_path / "run")) == 0  # nothing left to train: the files are made again

    def test_ctrl_c_says_how_to_go_on(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*args: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(HarmonizerTrainer, "_epoch", interrupt)
        assert command.run(command.Config(out=tmp_path / "run", size=32, batch=8)) == 130
        assert f"--resume {tmp_path / 'run'}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("content", "message"), [(None, "no run to resume"), ("{}", "does not hold the settings"), ("[", "does not hold")]
    )
    def test_no_run_to_resume(self, tmp_path: Path, content: str | None, message: str) -> None:
        if content is not None:
            (tmp_path / "config.json").write_text(content)
        with pytest.raises(InputError, match=message):
            command.run(command.Config(resume=tmp_path))
