import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from portraitseg import image
from portraitseg.card import IMAGENET, SYMMETRIC, Card
from portraitseg.data.augment import Augment, AugmentConfig
from portraitseg.data.pipeline import PARALLEL, PREFETCH, epoch_draws, eval_batches, sample_seed, train_batches
from portraitseg.data.sources import Folder, Pair
from portraitseg.errors import InputError

CARD = Card(arch="munet_mnv3", wm=0.5, size=(64, 48), input=SYMMETRIC)
DEFAULT = AugmentConfig()
NONE = AugmentConfig(level="none")
BGR = replace(IMAGENET, order="bgr", mean=IMAGENET.mean[::-1], std=IMAGENET.std[::-1])
CARDS = {
    "stretch": CARD,
    "letterbox": replace(CARD, fit="letterbox"),
    "bgr": replace(CARD, input=BGR),
    "prior": replace(CARD, channels=4),
}


class Drawn:
    """Small pictures, each with its own colours and shape; `broken` ones cannot be read."""

    def __init__(self, count: int, broken: tuple[int, ...] = ()) -> None:
        self.count, self.broken, self.loaded = count, broken, 0

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"drawn {index}"

    def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self.loaded += 1
        if index in self.broken:
            raise InputError(f"drawn {index} is broken")
        random = np.random.default_rng(index)
        size = (80 + index % 7, 60 + index % 5)
        picture = cv2.resize(random.integers(0, 256, (8, 6, 3), dtype=np.uint8), size[::-1])
        mask = cv2.ellipse(np.zeros(size, np.uint8), (30, 50), (15 + index % 4, 30), 0, 0, 360, 255, -1)
        return picture, mask


def batches(source: Drawn | Folder, card: Card = CARD, **options: object) -> list[tuple[np.ndarray, ...]]:
    settings = {"batch": 4, "seed": 3, "epoch": 1, "augment": DEFAULT, "prior_empty": 1.0, **options}
    return [tuple(batch[name].numpy() for name in ("index", "x", "mask")) for batch in train_batches(source, card, **settings)]


def assert_equal(first: list[tuple[np.ndarray, ...]], second: list[tuple[np.ndarray, ...]]) -> None:
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_a_batch_is_what_to_input_makes_of_the_augmented_samples(card: Card) -> None:
    source = Drawn(12)
    border = np.array([124, 116, 104]) if card.input is BGR else np.array([128, 128, 128])
    change = Augment(card.size, DEFAULT, fit=card.fit, border=border)
    index, x, mask = batches(source, card)[1]
    assert (index.dtype, x.dtype, mask.dtype) == (np.int64, np.float32, np.float32)
    assert (x.shape, mask.shape) == ((4, *card.size, card.channels), (4, *card.size, 1))
    for position in range(4):
        picture, truth = change(*source.load(index[position]), sample_seed(3, 1, index[position]))
        assert np.array_equal(x[position], image.to_input(picture, card))
        assert np.array_equal(mask[position, ..., 0], truth / np.float32(255))
    assert 0.1 < mask.mean() < 0.9


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_without_augmentation_training_sees_what_evaluation_sees(card: Card) -> None:
    source = Drawn(9)
    seen = {
        int(index): x for indices, inputs in eval_batches(source, card, batch=4) for index, x in zip(indices, inputs.numpy(), strict=True)
    }
    for indices, inputs, masks in batches(source, card, augment=NONE):
        for index, x, mask in zip(indices, inputs, masks, strict=True):
            assert np.array_equal(x, seen[int(index)])
            assert np.array_equal(mask[..., 0], image.fit_mask(source.load(index)[1], card.size, card.fit) / np.float32(255))


def test_a_fourth_channel_holds_the_prior() -> None:
    samples = [sample for batch in batches(Drawn(40), CARDS["prior"], prior_empty=0.25) for sample in zip(*batch[1:], strict=True)]
    empty = [x for x, _ in samples if not x[..., 3].any()]
    assert 3 <= len(empty) <= 17
    for x, mask in samples:
        assert 0 <= x[..., 3].min() <= x[..., 3].max() <= 1
        if x[..., 3].any():  # near the mask: the frame before
            assert np.minimum(x[..., 3:], mask).sum() > 0.5 * np.maximum(x[..., 3:], mask).sum()
    assert_equal(*(batches(Drawn(12), CARDS["prior"], prior_empty=0.25, parallel=parallel) for parallel in (1, 4)))


def test_input_range_by_hand() -> None:
    class Flat(Drawn):
        def load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return np.tile(np.array([255, 0, 51], np.uint8), (64, 48, 1)), np.full((64, 48), 51, np.uint8)

    _, x, mask = batches(Flat(4), augment=NONE)[0]
    assert x[0, 5, 5].tolist() == pytest.approx([1.0, -1.0, -0.6])
    assert mask[0, 5, 5, 0] == pytest.approx(0.2)


def test_two_runs_and_any_number_of_threads_give_equal_bits() -> None:
    source = Drawn(24)
    first = batches(source)
    assert_equal(first, batches(source))
    assert_equal(first, batches(source, parallel=1))
    assert_equal(first, batches(source, parallel=4))


def test_every_epoch_has_its_own_order_and_augmentation_and_each_sample_once() -> None:
    source = Drawn(12)
    first, second = batches(source, epoch=0), batches(source, epoch=1)
    orders = [np.concatenate([batch[0] for batch in epoch]) for epoch in (first, second)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert not np.array_equal(*orders)
    x = [{int(i): x for batch in epoch for i, x in zip(batch[0], batch[1], strict=True)} for epoch in (first, second)]
    assert not any(np.array_equal(x[0][index], x[1][index]) for index in range(12))
    assert not np.array_equal(orders[0], np.concatenate([batch[0] for batch in batches(source, epoch=0, seed=4)]))


def test_skip_continues_where_the_epoch_stopped_without_loading_what_was_seen() -> None:
    source = Drawn(24)
    whole = batches(source)
    source.loaded = 0
    assert_equal(whole[4:], batches(source, skip=4))
    assert source.loaded == 8
    assert batches(source, skip=6) == []


def test_limit_takes_the_first_samples_of_the_epoch() -> None:
    assert_equal(batches(Drawn(24))[:3], batches(Drawn(24), limit=13))


def test_a_last_smaller_batch_is_dropped() -> None:
    assert [len(batch[0]) for batch in batches(Drawn(11))] == [4, 4]


def test_a_set_smaller_than_a_batch_repeats_with_other_augmentations() -> None:
    ((index, x, _),) = batches(Drawn(3), batch=8)
    assert sorted(index[:3]) == sorted(index[3:6]) == [0, 1, 2]
    assert len({sample.tobytes() for sample in x}) == 8
    assert len(batches(Drawn(3), batch=8, limit=2)) == 1


def test_draws_by_rounds() -> None:
    draws = epoch_draws(3, seed=0, epoch=0, least=7)
    assert len(draws) == 7
    assert sorted(draws[:3]) == [0, 1, 2]
    assert sorted(draws[3:6]) == [3, 4, 5]
    assert 6 <= draws[6] <= 8


def test_memory_does_not_grow_with_the_set() -> None:
    """Only what is about to be used is loaded, and nothing is kept for a second pass."""
    source = Drawn(100_000)
    dataset = train_batches(source, CARD, batch=4, seed=0, epoch=0, augment=NONE)
    next(iter(dataset))
    assert source.loaded <= 4 * (PREFETCH + 3) + PARALLEL
    small = Drawn(8)
    dataset = train_batches(small, CARD, batch=4, seed=0, epoch=0, augment=NONE)
    assert len([*dataset, *dataset]) == 4
    assert small.loaded == 16


def test_a_file_that_breaks_while_training_is_replaced_by_the_next_and_reported_once(tmp_path: Path) -> None:
    folder = _folder(tmp_path, 6)
    whole = batches(folder, batch=6)[0]
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:100])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        index, x, _ = batches(folder, batch=6)[0]
        batches(folder, batch=6)
    assert len([warning for warning in caught if "2.png" in str(warning.message)]) == 1
    assert len(caught) == 1
    assert index.tolist() == [3 if value == 2 else value for value in whole[0]]
    good = whole[0] != 2
    assert np.array_equal(x[good], whole[1][good])


def test_when_nothing_can_be_read_any_more_the_error_says_so() -> None:
    with pytest.warns(UserWarning), pytest.raises(tf.errors.InvalidArgumentError, match="none of the 4 training samples"):
        batches(Drawn(4, broken=(0, 1, 2, 3)))


def test_evaluation_keeps_the_order_and_the_last_smaller_batch() -> None:
    parts = [(index.numpy(), x.numpy()) for index, x in eval_batches(Drawn(10), CARD, batch=4)]
    assert [len(index) for index, _ in parts] == [4, 4, 2]
    assert np.concatenate([index for index, _ in parts]).tolist() == list(range(10))
    assert parts[0][1].dtype == np.float32
    assert np.array_equal(parts[2][1][1], image.to_input(Drawn(10).load(9)[0], CARD))


def test_evaluation_leaves_a_broken_file_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="drawn 1 is broken"):
        index = np.concatenate([index.numpy() for index, _ in eval_batches(Drawn(5, broken=(1,)), CARD, batch=2)])
    assert index.tolist() == [0, 2, 3, 4]


def _folder(root: Path, count: int) -> Folder:
    pairs = []
    for index in range(count):
        picture, mask = Drawn(count).load(index)
        image.write(root / f"{index}.png", picture)
        image.write(root / f"{index}_mask.png", mask)
        pairs.append(Pair(str(index), root / f"{index}.png", root / f"{index}_mask.png"))
    return Folder(pairs)


def test_no_tuner_s_thread_is_left_to_be_waited_for_at_an_epoch_s_end() -> None:
    train = train_batches(Drawn(8), CARD, batch=4, seed=3, epoch=1, augment=NONE)
    for samples in (train, eval_batches(Drawn(8), CARD, batch=4)):
        assert samples.options().autotune.enabled is False
