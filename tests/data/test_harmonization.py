"""Pairs to learn harmonization from, and the recolouring in them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.data import recolour
from portraitseg.data.harmonization import Stored, make_pair, vary
from portraitseg.errors import InputError
from tests.tiny import disc


class Discs:
    """Twelve discs; the mask of every fourth is empty."""

    def __len__(self) -> int:
        return 12

    def name(self, index: int) -> str:
        return str(index)

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picture, mask = disc(np.random.default_rng(index))
        return picture, mask * (index % 4 > 0).__int__()


def test_the_person_alone_is_recoloured() -> None:
    picture, mask = disc(np.random.default_rng(0))
    mask = cv2.GaussianBlur(mask, (0, 0), 2)
    pair = make_pair(picture, mask, np.random.default_rng(3))
    assert pair.target is picture
    assert np.array_equal(pair.composite[mask == 0], picture[mask == 0])
    changed = recolour.recolour(picture, np.random.default_rng(3))
    assert np.abs(pair.composite[mask == 255].astype(int) - changed[mask == 255]).max() <= 1
    assert np.abs(pair.composite[mask == 255].astype(int) - picture[mask == 255]).mean() > 5
    half = pair.composite[mask == 128].astype(float)
    assert half == pytest.approx((changed[mask == 128].astype(float) + picture[mask == 128]) / 2, abs=1.5)


def test_each_kind_of_change_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers by hand: one of the six is 1 standard deviation, the others 0."""
    grey, red = np.full((1, 1, 3), 100, np.uint8), np.array([[[200, 50, 50]]], np.uint8)

    def changed(kind: int, pixel: np.ndarray) -> list[int]:
        monkeypatch.setattr(recolour, "_draw", lambda random, count: np.eye(count)[kind])
        return [int(v) for v in recolour.recolour(pixel, np.random.default_rng())[0, 0]]

    assert changed(0, grey) == pytest.approx([100 * 2 ** (0.6 / 2.2)] * 3, abs=1)  # twice the light is 2^(1/2.2) of the value
    assert changed(1, grey) == pytest.approx([100 * 2 ** (0.2 / 2.2), 100, 100 * 2 ** (-0.2 / 2.2)], abs=1)
    assert changed(2, grey) == pytest.approx([100, 100 * 2 ** (0.1 / 2.2), 100], abs=1)
    assert changed(3, grey) == pytest.approx([255 * (100 / 255) ** np.exp(0.2)] * 3, abs=1)
    assert changed(4, grey) == pytest.approx([127.5 - 27.5 * np.exp(0.25)] * 3, abs=1)
    assert changed(5, grey) == [100] * 3
    luma = 0.299 * 200 + 0.701 * 50
    assert changed(5, red) == pytest.approx([luma + np.exp(0.35) * (200 - luma), *[luma + np.exp(0.35) * (50 - luma)] * 2], abs=1)


def test_changes_are_drawn_and_some_pictures_have_few(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.stack([recolour._draw(np.random.default_rng(seed), 6) for seed in range(500)])
    assert np.abs(draws).max() == recolour.MOST
    assert (draws != 0).mean() == pytest.approx(recolour.SHARE, abs=0.03)
    monkeypatch.setattr(recolour, "_draw", lambda random, count: np.zeros(count))
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    assert np.abs(recolour.recolour(picture, np.random.default_rng()).astype(int) - picture).max() <= 1


def test_a_varied_picture_is_mirrored_with_its_mask() -> None:
    picture, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    picture[:, :2], mask[:, :2] = 200, 255
    sides = set()
    for seed in range(20):
        varied, moved = vary(picture, mask, np.random.default_rng(seed))
        assert np.array_equal(varied.max(axis=2) > 100, moved > 0)
        sides.add(int(moved[0, 0]))
    assert sides == {0, 255}


def test_pictures_without_a_person_are_left_out() -> None:
    stored = Stored.of(Discs(), 32)
    assert len(stored) == 9
    assert stored.samples.shape == (9, 32, 32, 4)
    picture, mask = Discs().load(1)
    assert np.array_equal(stored.samples[0, ..., 3], cv2.resize(mask, (32, 32), interpolation=cv2.INTER_AREA))
    assert np.array_equal(stored.samples[0, ..., :3], cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA))


def test_nobody_at_all() -> None:
    source = Discs()
    source.load = lambda index: (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match=r"none of the 12 masks has a person in it; give"):
        Stored.of(source, 32)


def test_order_and_changes_depend_on_seed_and_epoch_alone() -> None:
    stored = Stored.of(Discs(), 32)
    first, again, later, other = (list(stored.batches(4, seed=seed, epoch=epoch)) for seed, epoch in ((0, 0), (0, 0), (0, 1), (1, 0)))
    assert len(first) == 2  # of nine; the ninth waits for another epoch
    assert first[0].composite.shape == first[0].target.shape == (4, 32, 32, 3)
    assert first[0].mask.shape == (4, 32, 32)
    assert all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert not np.array_equal(first[0].target, later[0].target)
    assert not np.array_equal(first[0].target, other[0].target)


def test_every_picture_has_its_turn_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = Stored.of(Discs(), 32)
    monkeypatch.setattr(Stored, "_varied", lambda self, index, seed, epoch: (index, index, index))
    orders = [[int(i) for batch in stored.batches(3, seed=0, epoch=epoch) for i in batch.mask] for epoch in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(9))
    assert orders[0] != orders[1]


def test_pairs_to_validate_on_are_always_the_same_and_all_of_them() -> None:
    stored = Stored.of(Discs(), 32)
    (pair,) = stored.pairs(seed=5)
    assert len(pair.mask) == 9
    assert np.array_equal(pair.target, stored.samples[..., :3])
    assert all(np.array_equal(a, b) for a, b in zip(pair, next(stored.pairs(seed=5)), strict=True))
    assert not np.array_equal(pair.composite, next(stored.pairs(seed=6)).composite)


def test_the_store_is_on_disk_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stored = Stored.of(Discs(), 32)
    assert isinstance(stored.samples, np.memmap)
    assert not list(tmp_path.iterdir())
