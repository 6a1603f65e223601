"""Composites: no trace of the old background, the numbers by hand, and shares, seeds and broken files."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg import image
from portraitseg.card import SYMMETRIC, Card
from portraitseg.data.augment import AugmentConfig
from portraitseg.data.composite import Backgrounds, Composer, Cutout, compose, harmonise, place
from portraitseg.data.foreground import Foreground
from portraitseg.data.pipeline import train_batches
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError
from portraitseg.training.settings.data import SampleSettings

PERSON, OLD, NEW = (np.array(colour, np.float32) for colour in ([200, 60, 40], [20, 120, 240], [90, 200, 30]))


def disc(side: int = 96, radius: float = 30, softness: float = 6) -> np.ndarray:
    """The alpha of a soft disc, (side,side) in [0,1]."""
    rows, columns = np.indices((side, side))
    distance = np.hypot(rows - side / 2, columns - side / 2)
    return np.clip((radius - distance) / softness + 0.5, 0, 1).astype(np.float32)


def blend(alpha: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    return alpha[..., None] * front + (1 - alpha[..., None]) * back


def as_bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)


class Discs:
    """Discs, each of a grey of its own, on black."""

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"disc {index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        alpha = disc(64, radius=6 + index)
        return as_bytes(blend(alpha, np.full(3, 60.0 + 40 * index), np.zeros(3))), as_bytes(255 * alpha)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three plain green pictures of different sizes."""
    for index, size in enumerate([(40, 80), (90, 30), (200, 200)]):
        image.write(tmp_path / "scenes" / f"{index}.png", np.tile(as_bytes(NEW), (*size, 1)))
    return tmp_path / "scenes"


def composer(scenes: Path, source: object = None, size: tuple[int, int] = (64, 64), **shares: object) -> Composer:
    settings = {"composite": 1.0, "negatives": 0.0, "people": 1, **shares}
    return Composer(source or Discs(), Backgrounds(scenes), size, **settings)


def test_a_soft_edge_keeps_nothing_of_the_old_background() -> None:
    alpha = disc()
    picture = as_bytes(blend(alpha, PERSON, OLD))
    colours = Foreground()(picture, as_bytes(255 * alpha))
    picture_on_new, mask = compose(np.tile(NEW / 255, (96, 96, 1)), [Cutout(colours, alpha)])
    got = picture_on_new.astype(np.float32)
    wanted = blend(alpha, PERSON, NEW)
    naive = blend(alpha, picture.astype(np.float32), NEW)
    assert np.abs(got - wanted).max() < 2
    assert np.abs(naive - wanted).max() > 40  # what pasting the picture by its mask would leave
    assert np.abs(mask / 255 - alpha).max() < 0.005


def test_a_mask_that_is_too_wide_brings_no_rim_along() -> None:
    alpha = disc(336, radius=100, softness=1)
    wide = cv2.dilate(as_bytes(255 * alpha), np.ones((3, 3), np.uint8))
    picture = as_bytes(blend(alpha, PERSON, OLD))
    colours = Foreground()(picture, wide)
    rim = (wide > 200) & (alpha < 0.1)
    assert rim.sum() > 200
    assert np.abs(picture[rim] - OLD).mean() < 10
    assert np.abs(255 * colours[rim] - PERSON).mean() < 20  # of the 160 between the two


def test_two_layers_by_hand() -> None:
    ground = np.full((1, 1, 3), 0.2, np.float32)
    layers = [Cutout(np.full((1, 1, 3), value, np.float32), np.full((1, 1), alpha, np.float32)) for value, alpha in ((0.5, 0.5), (1, 0.25))]
    picture, mask = compose(ground, layers)
    assert picture.tolist() == [[[131] * 3]]  # 0.25 * 1 + 0.75 * (0.5 * 0.5 + 0.5 * 0.2) = 0.5125
    assert mask.tolist() == [[159]]  # 1 - 0.5 * 0.75 = 0.625


def test_brightness_goes_part_of_the_way_to_the_backgrounds() -> None:
    layer = Cutout(np.full((2, 2, 3), 0.25, np.float32), np.float32([[1, 1], [0.5, 0]]))
    ground = np.full((2, 2, 3), 0.5, np.float32)
    assert harmonise(layer, ground, 0.5).colours[0, 0].tolist() == pytest.approx([np.sqrt(0.25 * 0.5)] * 3, abs=1e-4)
    assert np.allclose(harmonise(layer, ground, 0.0).colours, 0.25)
    bright = Cutout(np.full((2, 2, 3), 0.9, np.float32), np.ones((2, 2), np.float32))
    assert 0.4 < harmonise(bright, 0.02 * ground, 1.0).colours.min() < 0.9  # darker, within the limit
    nobody = Cutout(np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.float32))
    assert np.isfinite(harmonise(nobody, ground, 0.5).colours).all()


@pytest.mark.parametrize("touched", ["bottom", "left", "right", "left right", "top bottom", "top left right bottom"])
def test_a_person_cut_by_the_pictures_border_is_never_cut_within_the_frame(touched: str) -> None:
    alpha = np.zeros((60, 40), np.float32)
    rows = slice(0 if "top" in touched else 15, 60 if "bottom" in touched else 50)
    columns = slice(0 if "left" in touched else 10, 40 if "right" in touched else 30)
    alpha[rows, columns] = 1
    for seed in range(40):
        placed = place(np.random.default_rng(seed), Cutout(np.ones((60, 40, 3), np.float32), alpha), (48, 64)).alpha
        if placed.max() < 0.9:
            continue
        edges = {"top": placed[0], "bottom": placed[-1], "left": placed[:, 0], "right": placed[:, -1]}
        assert all(edges[side].max() > 0.4 for side in touched.split())


def test_shares_of_composites_and_negatives(scenes: Path) -> None:
    compose_ = composer(scenes, composite=0.3, negatives=0.2)
    picture, mask = Discs().load(2)
    samples = [compose_(picture, mask, seed) for seed in range(400)]
    empty = [sample for sample in samples if not sample[1].any()]
    same = [sample for sample in samples if sample[0] is picture]
    assert 55 < len(empty) < 105
    assert 165 < len(same) < 235
    assert all((sample[0] == as_bytes(NEW)).all() for sample in empty)
    changed = [sample for sample in samples if sample[0] is not picture and sample[1].any()]
    assert all(np.array_equal(sample[1], mask) and (sample[0][0, 0] == as_bytes(NEW)).all() for sample in changed)


def test_negatives_alone_take_no_estimate(scenes: Path) -> None:
    only = composer(scenes, composite=0.0, negatives=1.0)
    assert only.foreground is None
    assert not only(*Discs().load(0), 3)[1].any()


def test_further_people_come_from_other_samples(scenes: Path) -> None:
    picture, mask = Discs().load(0)
    several = composer(scenes, people=3)
    counts = [cv2.connectedComponents((several(picture, mask, seed)[1] > 127).astype(np.uint8))[0] - 1 for seed in range(60)]
    assert set(counts) == {1, 2, 3}
    assert all(np.array_equal(composer(scenes)(picture, mask, seed)[1], mask) for seed in range(5))


def test_a_composite_is_a_pure_function_of_its_seed(scenes: Path) -> None:
    picture, mask = Discs().load(1)
    first, again = (composer(scenes, people=3)(picture, mask, 5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    others = {composer(scenes, people=3)(picture, mask, seed)[0].tobytes() for seed in range(6)}
    assert len(others) == 6


def test_composites_are_made_at_one_and_a_half_times_the_nets_size(scenes: Path) -> None:
    picture, mask = np.zeros((300, 150, 3), np.uint8), np.zeros((300, 150), np.uint8)
    got = composer(scenes, size=(64, 32))(picture, mask, 0)
    assert (got[0].shape, got[1].shape) == ((96, 48, 3), (96, 48))


def test_batches_of_composites_are_the_same_by_any_number_of_threads(scenes: Path) -> None:
    source, card = Synthetic(12, seed=0, size=64), Card(arch="munet_mnv3", wm=0.5, size=(64, 64), input=SYMMETRIC)

    def batches(parallel: int, made: Composer | None, skip: int = 0) -> list[dict[str, np.ndarray]]:
        options = {"batch": 4, "seed": 1, "epoch": 0, "augment": AugmentConfig(), "parallel": parallel, "composer": made, "skip": skip}
        return [{name: part.numpy() for name, part in batch.items()} for batch in train_batches(source, card, **options)]

    made = composer(scenes, source, composite=0.4, negatives=0.2, people=2)
    one, four, plain = batches(1, made), batches(4, made), batches(4, None)
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(one, four, strict=True) for name in a)
    (last,) = batches(4, made, skip=2)  # a run that was stopped goes on with the same samples
    assert all(np.array_equal(last[name], one[2][name]) for name in last)
    changed = sum(
        not np.array_equal(a, b) for one, other in zip(one, plain, strict=True) for a, b in zip(one["x"], other["x"], strict=True)
    )
    assert 3 <= changed <= 11


def test_every_epoch_has_its_own_composites(scenes: Path) -> None:
    card, made = Card(arch="munet_mnv3", wm=0.5, size=(64, 64), input=SYMMETRIC), composer(scenes, composite=0.5, negatives=0.5)
    options = {"batch": 4, "seed": 1, "augment": AugmentConfig(level="none"), "composer": made}
    kinds = [next(iter(train_batches(Discs(), card, epoch=epoch, **options)))["mask"].numpy().any((1, 2, 3)).tolist() for epoch in range(6)]
    assert len(set(map(tuple, kinds))) >= 4  # which of the four are people, and which backgrounds


def test_a_broken_background_is_replaced_by_the_next(scenes: Path) -> None:
    (scenes / "1.png").write_bytes(b"nothing")
    backgrounds = Backgrounds(scenes)
    with pytest.warns(UserWarning, match=r"background replaced by the next one: .*1\.png"):
        crops = [backgrounds.crop(np.random.default_rng(seed), (20, 30)) for seed in range(12)]
    assert all(crop.shape == (20, 30, 3) and np.allclose(crop, NEW / 255, atol=1e-6) for crop in crops)
    for path in scenes.glob("*.png"):
        path.write_bytes(b"nothing")
    with pytest.warns(UserWarning), pytest.raises(InputError, match="none of the 3 backgrounds"):
        backgrounds.crop(np.random.default_rng(0), (20, 30))


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture in the folder"):
        Backgrounds(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        Backgrounds(tmp_path / "none")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"composite": 0.3}, "need --backgrounds DIR"),
        ({"negatives": 0.1}, "need --backgrounds DIR"),
        ({"composite": 0.7, "negatives": 0.4, "backgrounds": Path()}, "at most 1"),
        ({"composite": -0.1, "backgrounds": Path()}, "shares"),
        ({"people": 0}, "--people is at least 1"),
        ({"people": 2, "negatives": 0.1, "backgrounds": Path()}, "only with --composite"),
        ({"backgrounds": Path()}, "changes nothing"),
        ({"prior_empty": 1.5}, "--prior-empty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SampleSettings(**settings).check_samples()


def test_settings_that_ask_for_nothing_make_no_composer(scenes: Path) -> None:
    SampleSettings().check_samples()
    assert SampleSettings().composer(Discs(), (64, 64)) is None
    wanted = SampleSettings(composite=0.3, backgrounds=scenes)
    wanted.check_samples()
    assert wanted.composer(Discs(), (64, 64)) is not None


def test_threads_may_meet_in_the_estimate_without_openmp() -> None:
    """Numba's own thread pool ends the process when they do, unless they wait for each other."""
    code = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from portraitseg.data.foreground import Foreground
estimate, picture = Foreground(), np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
wanted = estimate(picture, picture[..., 0])
with ThreadPoolExecutor(4) as pool:
    assert all(np.array_equal(got, wanted) for got in pool.map(lambda _: estimate(picture, picture[..., 0]), range(12)))
"""
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def test_numba_is_loaded_with_the_first_composer_alone() -> None:
    code = "import sys, portraitseg.data.composite, portraitseg.training.config; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
