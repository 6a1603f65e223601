"""Harmonizer nets on frames: small ones, made here, whose answer is known."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from portraitseg import image
from portraitseg.card import Card, card_path
from portraitseg.cli.test import SAMPLE
from portraitseg.compose.harmonize import NUMBERS, colour_filter, filter_person
from portraitseg.errors import InputError
from portraitseg.export import tflite_report
from portraitseg.live.harmonizer import FilterNet, open_harmonizer
from portraitseg.live.picture_net import PictureNet
from portraitseg.runtime.tensors import Tensor

SHIPPED = Path(__file__).parents[2] / "models" / "harmonizer" / "harmonizer-wm100-64-int8.tflite"
FLOAT, BYTES = TensorProto.FLOAT, TensorProto.UINT8


def write(path: Path, nodes: list, inputs: dict, outputs: dict, constants: dict) -> Path:
    """An .onnx of nodes; inputs and outputs are name -> (type, shape)."""
    ends = [[helper.make_tensor_value_info(name, *end) for name, end in part.items()] for part in (inputs, outputs)]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", *ends, held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def brighter(path: Path, *, layout: str = "nchw", ends: int = 2, side: int | str = 32, step: float = 0.2, kind: int = FLOAT) -> Path:
    """A net that gives composite + step where the mask is."""
    shape = {"nchw": lambda c: [1, c, side, side], "nhwc": lambda c: [1, side, side, c]}[layout]
    axis = [1 if layout == "nchw" else 3]
    constants = {"step": np.array(step, np.float32), "top": np.array(255 if kind == BYTES else 1, np.float32)}
    nodes, inputs = [], {"mask": (kind, shape(1)), "picture": (kind, shape(3))}
    if ends == 1:
        inputs = {"both": (kind, shape(4))}
        constants |= {"axis": np.array(axis), "0": np.array([0]), "3": np.array([3]), "4": np.array([4])}
        nodes += [
            helper.make_node("Slice", ["both", *cut, "axis"], [name]) for cut, name in ((("0", "3"), "picture"), (("3", "4"), "mask"))
        ]
    nodes += [helper.make_node("Cast", [name], [f"{name}_float"], to=FLOAT) for name in ("mask", "picture")]
    nodes += [
        helper.make_node("Mul", ["mask_float", "step"], ["change"]),
        helper.make_node("Add", ["picture_float", "change"], ["sum"]),
        helper.make_node("Min", ["sum", "top"], ["bounded"]),
        helper.make_node("Cast", ["bounded"], ["harmonized"], to=kind),
    ]
    return write(path, nodes, inputs, {"harmonized": (kind, shape(3))}, constants)


def scene(height: int = 90, width: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A person of detail, alpha, and a background."""
    random = np.random.default_rng(0)
    alpha = np.zeros((height, width), np.uint8)
    cv2.circle(alpha, (width // 2, height // 2), height // 3, 255, -1)
    return random.integers(50, 150, (height, width, 3), np.uint8), alpha, np.full((height, width, 3), 30, np.uint8)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("ends", [1, 2])
@pytest.mark.parametrize("side", [32, "side"])
def test_any_onnx_harmonizer_changes_the_person_at_full_size(tmp_path: Path, layout: str, ends: int, side: int | str) -> None:
    image, alpha, background = scene()
    harmonizer = open_harmonizer(brighter(tmp_path / "net.onnx", layout=layout, ends=ends, side=side))
    change = harmonizer(image, alpha, background).astype(int) - image
    assert np.abs(change[alpha > 0] - 51).max() <= 3  # 0.2 of 255, up to the very edge, with all detail kept
    outside = np.ones_like(alpha, bool)
    outside[15:76, 50:111] = False
    assert (change[outside] == 0).all()


def test_a_net_that_changes_the_scene_too(tmp_path: Path) -> None:
    image, alpha, background = scene()
    nodes = [helper.make_node("Add", ["picture", "step"], ["harmonized"]), helper.make_node("Identity", ["mask"], ["unused"])]
    ends = {"picture": (FLOAT, [1, 3, 32, 32]), "mask": (FLOAT, [1, 1, 32, 32])}
    path = write(tmp_path / "net.onnx", nodes, ends, {"harmonized": ends["picture"]}, {"step": np.array(0.2, np.float32)})
    change = open_harmonizer(path)(image, alpha, background).astype(int) - image
    assert np.abs(change[alpha > 0] - 51).max() <= 3


@pytest.mark.parametrize(("values", "step", "expected"), [("0..1", 0.2, 51), ("-1..1", 0.2, 25.5), ("0..255", 40, 40)])
def test_the_range_of_the_net(tmp_path: Path, values: str, step: float, expected: float) -> None:
    image, alpha, background = scene()
    path = brighter(tmp_path / "net.onnx", step=step) if values != "0..255" else unbounded(tmp_path / "net.onnx", step)
    change = open_harmonizer(path, values=values)(image // 2, alpha, background).astype(int) - image // 2
    assert np.median(change[alpha > 0]) == pytest.approx(expected, abs=1.5)


def unbounded(path: Path, step: float) -> Path:
    nodes = [helper.make_node("Mul", ["mask", "step"], ["change"]), helper.make_node("Add", ["picture", "change"], ["harmonized"])]
    ends = {"picture": (FLOAT, [1, 3, 32, 32]), "mask": (FLOAT, [1, 1, 32, 32])}
    return write(path, nodes, ends, {"harmonized": (FLOAT, [1, 3, 32, 32])}, {"step": np.array(step, np.float32)})


def test_bytes_go_in_and_out_as_they_are(tmp_path: Path) -> None:
    image, alpha, background = scene()
    harmonizer = open_harmonizer(brighter(tmp_path / "net.onnx", kind=BYTES, step=0.2))
    change = harmonizer(image, alpha, background).astype(int) - image
    assert np.abs(change[alpha > 0] - 51).max() <= 3


def test_strength_of_a_picture_net(tmp_path: Path) -> None:
    image, alpha, background = scene()
    change = open_harmonizer(brighter(tmp_path / "net.onnx"), strength=0.5)(image, alpha, background).astype(int) - image
    assert np.median(change[alpha > 0]) == pytest.approx(25.5, abs=1)


class Engine:
    """A filter net whose answers are a list."""

    inputs = (Tensor(name="composite", shape=(1, 8, 8, 4), dtype=np.uint8, scale=1 / 255),)
    outputs = (Tensor(name="numbers", shape=(1, NUMBERS), dtype=np.float32),)

    def __init__(self, *first: float) -> None:
        self.first, self.seen = list(first), []

    def __call__(self, x: np.ndarray, output: int) -> np.ndarray:
        self.seen.append(x.copy())
        return np.array([[self.first.pop(0), *[0.0] * (NUMBERS - 1)]], np.float32)


def test_the_filter_net_sees_the_composite_and_the_mask() -> None:
    image, alpha, background = np.full((16, 16, 3), 200, np.uint8), np.zeros((16, 16), np.uint8), np.full((16, 16, 3), 10, np.uint8)
    alpha[4:12, 4:12] = 255
    engine = Engine(1.0)
    result = FilterNet(Path("net"), engine, strength=1, every=1, memory=0)(image, alpha, background)
    (x,) = engine.seen
    assert x.shape == (1, 8, 8, 4)
    assert x.dtype == np.uint8
    assert (x[0, 2:6, 2:6] == (200, 200, 200, 255)).all()
    assert (x[0, :2] == (10, 10, 10, 0)).all()
    expected = filter_person(image, alpha, colour_filter(np.eye(1, NUMBERS, dtype=np.float32)[0]))
    assert np.array_equal(result, expected)


def test_filters_are_kept_and_smoothed_over_frames() -> None:
    image, alpha, background = scene(16, 16)
    image[:] = 100
    kept = FilterNet(Path("net"), Engine(1.0, -1.0), strength=1, every=3, memory=0)
    assert [int(kept(image, alpha, background)[8, 8, 0]) for _ in range(4)] == pytest.approx([125.5] * 3 + [74.5], abs=0.5)
    smoothed = FilterNet(Path("net"), Engine(1.0, -1.0, -1.0), strength=1, every=1, memory=0.5)
    assert [int(smoothed(image, alpha, background)[8, 8, 0]) for _ in range(3)] == pytest.approx([125.5, 100, 87.25], abs=0.75)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_extreme_sizes_and_alphas(tmp_path: Path, size: tuple[int, int], value: int) -> None:
    image, background = np.full((*size, 3), 90, np.uint8), np.full((*size, 3), 200, np.uint8)
    alpha = np.full(size, value, np.uint8)
    picture_net = open_harmonizer(brighter(tmp_path / "net.onnx"))
    assert picture_net(image, alpha, background).shape == image.shape
    assert FilterNet(Path("net"), Engine(1.0), strength=1, every=1, memory=0)(image, alpha, background).shape == image.shape


def test_files_that_are_no_harmonizers(tmp_path: Path) -> None:
    model = Path(__file__).parents[2] / "models" / "munet_mnv2_transition-wm035-256-int8.tflite"
    one = {"a": (FLOAT, [1, 3, 8, 8])}
    same = [helper.make_node("Identity", ["a"], ["b"])]
    for path, message in (
        (model, r"is no harmonizer: .*256, 256.* is not \(1, 33\)"),
        (tmp_path / "missing.onnx", "no model file"),
        (tmp_path / "photo.jpg", r"a \.tflite or \.onnx file"),
        (write(tmp_path / "one.onnx", same, one, {"b": one["a"]}, {}), "takes one input of 4 channels"),
        (brighter_grey(tmp_path / "grey.onnx"), "none of its outputs"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            open_harmonizer(path)
        assert "\n" not in str(caught.value)
    (tmp_path / "broken.onnx").write_bytes(b"x" * 100)
    with pytest.raises(InputError, match="onnxruntime cannot open"):
        open_harmonizer(tmp_path / "broken.onnx")
    with pytest.raises(InputError, match=r"one of 0\.\.1, -1\.\.1, 0\.\.255, got '0-1'"):
        open_harmonizer(brighter(tmp_path / "net.onnx"), values="0-1")


def brighter_grey(path: Path) -> Path:
    ends = {"picture": (FLOAT, [1, 3, 8, 8]), "mask": (FLOAT, [1, 1, 8, 8])}
    nodes = [helper.make_node("Identity", ["mask"], ["grey"]), helper.make_node("Identity", ["picture"], ["unused"])]
    return write(path, nodes, ends, {"grey": (FLOAT, [1, 1, 8, 8])}, {})


def test_a_net_that_fails_while_it_runs(tmp_path: Path) -> None:
    """It takes any size as it says, and then does not."""
    nodes = [
        helper.make_node("Reshape", ["picture", "shape"], ["harmonized"]),
        helper.make_node("Identity", ["mask"], ["unused"]),
    ]
    ends = {"picture": (FLOAT, [1, 3, "h", "w"]), "mask": (FLOAT, [1, 1, "h", "w"])}
    path = write(tmp_path / "net.onnx", nodes, ends, {"harmonized": (FLOAT, [1, 3, 7, 7])}, {"shape": np.array([1, 3, 7, 7])})
    harmonizer = open_harmonizer(path)
    assert isinstance(harmonizer, PictureNet)
    with pytest.raises(InputError, match="opens, but cannot be run"):
        harmonizer(*scene())


class TestShipped:
    """The harmonizer in models/."""

    def test_it_is_small_whole_and_described(self) -> None:
        card = Card.load(card_path(SHIPPED))
        report = tflite_report.inspect(SHIPPED.read_bytes())
        assert report.size < 1_000_000
        assert report.partitions == 1
        assert not report.float_tensors
        assert f"{card.name}-{card.quant}" == SHIPPED.stem
        assert "research and evaluation" in card.licence
        assert card.data
        assert card.sha256
        assert card.metrics["held_out_person_mse"] < 0.6 * card.metrics["held_out_person_mse_before"]

    def test_it_brings_a_recoloured_person_nearer_to_the_photograph(self) -> None:
        """The astronaut, whose picture no training saw, and a crude mask of the middle."""
        photo = image.read(SAMPLE)
        alpha = np.zeros(photo.shape[:2], np.uint8)
        cv2.ellipse(alpha, (photo.shape[1] // 2 - 20, photo.shape[0]), (170, 400), 0, 0, 360, 255, -1)
        harmonizer = open_harmonizer(SHIPPED, every=1, memory=0)
        gains = {"darker": (0.6, 0.6, 0.6), "blue": (0.7, 0.9, 1.2), "warm": (1.2, 1.0, 0.6)}
        for name, gain in gains.items():
            changed = np.where(alpha[..., None] > 0, np.clip(photo * np.array(gain), 0, 255), photo).astype(np.uint8)
            before, after = (
                np.square(picture.astype(float) - photo)[alpha > 0].mean() for picture in (changed, harmonizer(changed, alpha, changed))
            )
            assert after < 0.8 * before, name
