"""The range test on a bowl whose best and highest rates are known, and from the command line."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

from portraitseg import archs
from portraitseg.archs import ArchSpec
from portraitseg.cli import main
from portraitseg.errors import InputError
from portraitseg.layers import conv
from portraitseg.training import lr_finder
from portraitseg.training.lr_finder import Curve, find, smooth
from portraitseg.training.optimiser import make_optimizer
from portraitseg.training.settings import OptimiserSettings
from portraitseg.training.step import make_train_step

CURVATURE = 50.0
"""Of the bowl: descent is fastest at a rate of 1/50 and explodes from 2/50 on."""


@pytest.fixture
def bowl():
    """A net of one weight, 3 at the start, whose loss is 25 w^2."""
    model = keras.Sequential([layers.Input((1,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.full((1, 1), 3.0, np.float32)])
    optimizer = make_optimizer(OptimiserSettings(optimizer="sgd", momentum=0.0, clip_norm=0.0), model, 1.0)
    step = make_train_step(model, optimizer, lambda model, batch: CURVATURE / 2 * tf.reduce_sum(model(batch["x"])) ** 2)
    return model, optimizer, step, itertools.repeat({"x": tf.ones((1, 1))})


def by_hand(rates):
    """Losses at rising rates: each step multiplies the weight by 1 - 50 lr."""
    weight, losses = 3.0, []
    for rate in rates:
        losses.append(CURVATURE / 2 * weight**2)
        weight *= 1 - CURVATURE * rate
    return np.array(losses)


def test_the_bowl(bowl):
    model = bowl[0]
    curve = find(*bowl, lowest=1e-4, highest=10.0, steps=150)
    np.testing.assert_allclose(curve.losses, by_hand(curve.rates), rtol=1e-3, atol=1e-12)
    assert curve.diverged
    assert 2 / CURVATURE < curve.rates[-1] < 1.0
    assert 0.1 / CURVATURE < curve.tenth < 2 / CURVATURE  # rates that converge
    assert 0.01 / CURVATURE < curve.suggestion <= curve.steepest < 1 / CURVATURE
    assert model.get_weights()[0] == 3.0


def test_smoothing_by_hand():
    np.testing.assert_allclose(smooth(np.array([2.0, 4.0, 1.0])), [2.0, (0.18 + 0.4) / 0.19, (0.162 + 0.36 + 0.1) / 0.271])


def test_suggestion_by_hand():
    """Over 40 rates, ten a decade: level to 1, steepest into 1.7, lowest at 2, where the explosion begins."""
    rates = np.geomspace(1.0, 1e4, 41)[:40]
    smoothed = np.r_[np.full(11, 9.0), 8.0, 7.5, 7.0, 6.5, 6.0, 5.0, 3.0, 2.5, 2.2, 2.0, np.linspace(3, 80, 19)]
    losses = np.r_[smoothed[0], (smoothed[1:] * _weights(40)[1:] - 0.9 * smoothed[:-1] * _weights(40)[:-1]) / 0.1]
    curve = Curve(rates=rates, losses=losses, diverged=True)
    np.testing.assert_allclose(curve.smoothed, smoothed)
    assert curve.tenth == pytest.approx(rates[20] / 10)
    assert curve.steepest == pytest.approx(rates[16])  # (3 - 6) / 2 is the steepest central difference
    assert curve.suggestion == curve.tenth


def _weights(count):
    return 1 - 0.9 ** np.arange(1, count + 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lowest": 0.0}, "must be above 0"),
        ({"highest": 1e-5}, "below --highest"),
        ({"highest": float("inf")}, "below --highest"),
        ({"steps": 9}, "--steps at least 10, got 9"),
        ({"lowest": 1e9, "highest": 1e30}, r"the loss exploded in step [2-9], at a learning rate of \d"),
    ],
)
def test_what_cannot_be_tested(bowl, changes, message):
    with pytest.raises(InputError, match=message):
        find(*bowl, **{"lowest": 1e-4, "highest": 10.0, "steps": 50, **changes})
    assert bowl[0].get_weights()[0] == 3.0


def test_a_loss_that_only_rises():
    with pytest.raises(InputError, match="smaller --lowest"):
        _ = Curve(rates=np.geomspace(1, 10, 20), losses=np.arange(1.0, 21), diverged=True).suggestion


@pytest.fixture
def pictures(tmp_path, monkeypatch) -> Path:
    def tiny(x, *, wm, classes):
        return conv(conv(x, 4, 3, name="enc_conv"), classes, 1, name="head_conv")

    monkeypatch.setitem(archs.ARCHS, "tiny", ArchSpec(builder=tiny, size=32, wm=1.0, encoder="mobilenet_v2", paper="-"))
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for number in range(10):
        mask = np.zeros((40, 40), np.uint8)
        cv2.circle(mask, tuple(int(v) for v in random.integers(14, 28, 2)), 10, 255, -1)
        for name, picture in {"images": np.dstack([mask // 2 + 60] * 3), "masks": mask}.items():
            (tmp_path / "pictures" / name).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / "pictures" / name / f"{number}.png"), picture)
    return tmp_path / "pictures"


def lr_find(pictures: Path, *words: str) -> int:
    return main(argv=["lr-find", "--arch", "tiny", "--data", str(pictures), "--batch", "4", "--optimizer", "sgd", *words])


def test_from_the_command_line(pictures, capsys):
    assert lr_find(pictures, "--steps", "60", "--highest", "1e6", "--lowest", "1e-3") == 0
    first = capsys.readouterr().out
    assert "phase 'all': look at lr-find.png" in first
    assert "the loss exploded at" in first
    rates = [float(line.split()[-1]) for line in first.splitlines()[-3:]]
    assert 1e-3 <= rates[2] == min(rates) < 100
    assert cv2.imread("lr-find.png").std() > 10
    assert {path.name for path in Path().iterdir()} == {"pictures", "lr-find.png"}
    assert lr_find(pictures) == 2
    assert "lr-find.png exists already" in capsys.readouterr().err
    assert lr_find(pictures, "--steps", "60", "--highest", "1e6", "--lowest", "1e-3", "--force") == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("words", [["--curve", "curve.jpg"], ["--steps", "3"], ["--batch", "0"]])
def test_refusals(pictures, capsys, words):
    assert lr_find(pictures, *words) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert {path.name for path in Path().iterdir()} == {"pictures"}


def test_the_rates_are_those_that_were_asked_for(bowl, monkeypatch):
    model, optimizer, step, batches = bowl
    seen = []

    def watched(batch):
        seen.append(float(optimizer.learning_rate))
        return step(batch)

    monkeypatch.setattr(lr_finder, "DIVERGED", np.inf)
    find(model, optimizer, watched, batches, lowest=1e-4, highest=1e-2, steps=11)
    np.testing.assert_allclose(seen, 10 ** np.linspace(-4, -2, 11), rtol=1e-5)
