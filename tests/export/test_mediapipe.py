"""MediaPipe Tasks' ImageSegmenter, the real one, on files that we write, against LiteRT on the same picture."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from portraitseg.card import IMAGENET, SYMMETRIC, UNIT, Card
from portraitseg.errors import InputError
from portraitseg.export import mediapipe, tflite
from portraitseg.rewrite.int8_input import to_byte_input
from portraitseg.runtime import open_artifact

SIZE = (24, 32)
PICTURE = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
CARD = Card(arch="conv", wm=1.0, size=SIZE, input=SYMMETRIC, output="prob", licence="Bäume, CC0")
BGR = replace(IMAGENET, mean=IMAGENET.mean[::-1], std=IMAGENET.std[::-1], order="bgr")


class Samples:
    """A calibration set of the picture."""

    def __init__(self, card: Card) -> None:
        self.mean, self.std = card.input.mean[0], card.input.std[0]

    def __len__(self) -> int:
        return 1

    def __iter__(self):
        x = PICTURE[None].astype(np.float32)
        x[0, 0, 0], x[0, 0, 1] = 0, 255
        yield (x - self.mean) / self.std


def net(classes: int) -> keras.Model:
    """One convolution whose prob varies over the whole range."""
    image = keras.Input((*SIZE, 3), 1)
    logits = keras.layers.Conv2D(classes, 3, padding="same", name="head")(image)
    model = keras.Model(image, keras.layers.Activation("sigmoid" if classes == 1 else "softmax")(logits))
    model.set_weights([np.random.default_rng(1).normal(0, 1, weight.shape) for weight in model.weights])
    return model


CASES = {
    "float": (CARD, "fp32", "float"),
    "half": (replace(CARD, input=UNIT, quant="fp16"), "fp16", "float"),
    "bgr": (replace(CARD, input=BGR), "fp32", "float"),
    "two": (replace(CARD, classes=2), "fp32", "float"),
    "uint8": (replace(CARD, quant="int8", io="uint8"), "int8", "uint8"),
    "two-uint8": (replace(CARD, classes=2, quant="int8", io="uint8"), "int8", "uint8"),
    # With [-1,1] each byte would lie between two steps of the input, and the last bit of a float would choose.
    "int8-float": (replace(CARD, input=UNIT, quant="int8"), "int8", "float"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mediapipe_python: Path) -> tuple[Path, dict[str, Card]]:
    """The files, MediaPipe's masks beside them, and their cards."""
    folder, cards = tmp_path_factory.mktemp("made"), {}
    np.save(folder / "picture.npy", PICTURE)
    for name, (card, quant, io) in CASES.items():
        graph, cards[name] = to_byte_input(net(card.classes), card)
        content = tflite.convert(graph, quant, calibration=Samples(cards[name]) if quant == "int8" else None, io=io)
        (folder / f"{name}.tflite").write_bytes(mediapipe.with_metadata(content, cards[name]))
    script = Path(__file__).with_name("mediapipe_masks.py")
    subprocess.run([mediapipe_python, "-I", script, folder], check=True, capture_output=True)
    return folder, cards


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_its_masks_are_ours(made: tuple[Path, dict[str, Card]], name: str) -> None:
    folder, cards = made
    theirs = np.load(folder / f"{name}.npz")
    ours = open_artifact(folder / f"{name}.tflite", card=cards[name])(PICTURE)
    assert ours.std() > 0.2
    np.testing.assert_allclose(theirs["confidence"][-1], ours, atol=1e-6)
    if cards[name].classes == 1:
        np.testing.assert_array_equal(theirs["category"], np.where(ours > 0.5, 0, 255))
        assert list(theirs["labels"]) == ["person"]
    else:
        np.testing.assert_array_equal(theirs["category"], theirs["confidence"][1] > theirs["confidence"][0])
        assert list(theirs["labels"]) == ["background", "person"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_its_own_classes_read_what_we_wrote(made: tuple[Path, dict[str, Card]], name: str) -> None:
    folder, cards = made
    found = np.load(folder / f"{name}.npz")
    np.testing.assert_allclose(found["mean"], cards[name].input.mean)
    np.testing.assert_allclose(found["std"], cards[name].input.std)
    assert (str(found["licence"]), str(found["name"])) == ("Bäume, CC0", "conv-wm100-24x32")
    assert (int(found["colours"]), str(found["label_file"]), int(found["label_type"])) == (1, "labels.txt", 2)


def test_the_same_net_gives_the_same_bytes() -> None:
    content = (Path(__file__).parents[2] / "models/munet_mnv2_transition-wm035-160-fp32.tflite").read_bytes()
    assert mediapipe.with_metadata(content, CARD) == mediapipe.with_metadata(content, CARD)


@pytest.mark.parametrize(
    ("changes", "io", "message"),
    [({"channels": 4}, "float", "takes 4"), ({"fit": "letterbox"}, "float", "fit letterbox"), ({}, "int8", "refuses int8")],
)
def test_what_it_cannot_feed_is_refused(changes: dict[str, object], io: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mediapipe.check(replace(CARD, **changes), io=io)
