"""The gate's figures on cases worked by hand, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import tf_keras as keras
from tf_keras import layers

from portraitseg.card import QUANTS, SYMMETRIC, UNIT, Card
from portraitseg.errors import InputError
from portraitseg.export import parity
from portraitseg.export.parity import TOLERANCES, Parity

CARD = Card(arch="a", wm=1, size=(4, 4), input=UNIT, output="prob")
GOOD = Parity(pictures=50, mean_abs=0, worst_abs=0, worst_name="p", iou_reference=90, iou_artifact=90, spread=0.4)


class Two:
    """Two pictures of 8x8: the person is the left half."""

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return ("first", "second")[index]

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        mask = np.zeros((8, 8), np.uint8)
        mask[:, :4] = 255
        return np.full((8, 8, 3), 255 * index, np.uint8), mask


class Fake:
    """An artifact that misses the person's lower half on the second, white picture, and is unsure beside it."""

    card = CARD

    def __call__(self, image: np.ndarray) -> np.ndarray:
        prob = _left_half(image)
        if image.max() > 0:
            prob[2:, :2] = 0
            prob[2:, 2:] = 0.25
        return prob

    def run(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def _left_half(_: np.ndarray) -> np.ndarray:
    prob = np.zeros((4, 4), np.float32)
    prob[:, :2] = 1
    return prob


def test_figures_worked_by_hand() -> None:
    result = parity.compare(_left_half, Fake(), Two(), [0, 1])
    assert result.pictures == 2
    assert result.worst_name == "second"
    assert result.worst_abs == pytest.approx(5 / 16)  # 4 pixels by 1, 4 by 0.25 the other way
    assert result.mean_abs == pytest.approx(5 / 32)
    assert result.iou_reference == pytest.approx(100)
    assert result.iou_artifact == pytest.approx(75)  # pooled: 32 + 16 of 64 pixels
    assert result.iou_drop == pytest.approx(25)
    assert result.spread == pytest.approx(0.5)


def test_only_the_pictures_named_are_compared() -> None:
    result = parity.compare(_left_half, Fake(), Two(), [0])
    assert (result.mean_abs, result.iou_drop, result.worst_name) == (0, 0, "first")
    with pytest.raises(InputError, match=r"no held-out pictures.*--data DIR"):
        parity.compare(_left_half, Fake(), Two(), [])


def test_the_reference_gets_the_prepared_input() -> None:
    seen = []

    def reference(x: np.ndarray) -> np.ndarray:
        seen.append(x)
        return _left_half(x)

    parity.compare(reference, Fake(), Two(), [1])
    assert seen[0].shape == (4, 4, 3)
    assert (seen[0] == 1).all()  # bytes of 255 in the card's range [0,1]


def test_the_reference_may_have_a_range_of_its_own() -> None:
    """An int8 file takes bytes whatever the checkpoint's normalisation is."""
    seen = []

    def reference(x: np.ndarray) -> np.ndarray:
        seen.append(x)
        return _left_half(x)

    parity.compare(reference, Fake(), Two(), [0], prepared=replace(CARD, input=SYMMETRIC, channels=4))
    np.testing.assert_array_equal(seen[0], np.broadcast_to([-1.0, -1.0, -1.0, 0.0], (4, 4, 4)))  # bytes of 0 and no prior


@pytest.mark.parametrize("quant", QUANTS)
def test_each_tolerance_is_a_limit(quant: str) -> None:
    allowed = TOLERANCES[quant]
    at_limit = replace(
        GOOD, mean_abs=allowed.mean_abs, worst_abs=allowed.worst_abs, iou_artifact=90 - allowed.iou_drop + 1e-9, spread=parity.MIN_SPREAD
    )
    assert parity.complaints(at_limit, quant) == []
    beyond = {
        "mean": replace(at_limit, mean_abs=allowed.mean_abs * 1.1),
        "picture p": replace(at_limit, worst_abs=allowed.worst_abs * 1.1),
        "IoU drops": replace(at_limit, iou_artifact=90 - allowed.iou_drop * 1.1),
        "constant": replace(at_limit, spread=parity.MIN_SPREAD / 2),
    }
    for word, result in beyond.items():
        (complaint,) = parity.complaints(result, quant)
        assert word in complaint
    assert len(parity.complaints(replace(GOOD, mean_abs=float("nan"), worst_abs=float("nan")), quant)) == 2


def test_the_line_gives_every_figure_with_its_limit() -> None:
    result = replace(GOOD, mean_abs=0.0123, worst_abs=0.0456, worst_name="eg_7", iou_artifact=89.5)
    line = result.line("int8")
    for part in ("0.01230 (allowed 0.02)", "eg_7 with 0.04560 (allowed 0.1)", "90.00 -> 89.50", "0.50 points (allowed 1)"):
        assert part in line


def test_the_keras_reference_is_the_unfolded_net_with_a_sigmoid() -> None:
    image = keras.Input((4, 4, 3))
    bn = layers.BatchNormalization()
    x = layers.Dropout(0.5)(bn(layers.Conv2D(2, 1)(image)))
    aux = layers.Conv2D(1, 1, name="aux")(x)
    model = keras.Model(image, [aux, layers.Conv2D(1, 1, name="logits")(x)])
    bn.set_weights(list(np.array([[2, 1], [0.5, 0], [0.1, 0.2], [3, 0.5]])))
    picture = np.random.default_rng(0).uniform(-1, 1, (4, 4, 3)).astype(np.float32)

    prob = parity.keras_reference(model, CARD)(picture)

    logits = np.asarray(model(picture[None], training=False)[1])[0, ..., 0]
    np.testing.assert_allclose(prob, 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_of_two_classes_the_second_is_the_person() -> None:
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="logits")(image))
    model.layers[-1].set_weights([np.zeros((1, 1, 3, 2)), np.array([0.0, np.log(3)])])
    card = Card(arch="a", wm=1, size=(4, 4), input=SYMMETRIC, classes=2)
    prob = parity.keras_reference(model, card)(np.zeros((4, 4, 3), np.float32))
    np.testing.assert_allclose(prob, np.full((4, 4), 0.75), atol=1e-6)  # 3 / (1 + 3)
