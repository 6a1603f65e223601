"""Background subtraction on drawn clips of a camera that stands still; the truth is what was drawn."""

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.image import from_prob
from portraitseg.live.background_subtraction import SUBTRACTORS, subtractor
from portraitseg.live.background_subtraction.body import largest
from portraitseg.live.background_subtraction.scenes import Mean

SIZE = (180, 320)
GRAIN = np.random.default_rng(1).normal(0, 1, (*SIZE, 3)).astype(np.float32)
SPOTS = cv2.GaussianBlur(GRAIN[..., 0], (0, 0), 6)
WALL = cv2.normalize(SPOTS, None, 70, 170, cv2.NORM_MINMAX)[..., None] * np.float32([1, 0.95, 0.9])


def room(light=1.0, seed=0, noise=3.0):
    """A textured background (H,W,3) with a camera's noise, another one for each seed."""
    grain = np.roll(GRAIN, 1000 * seed)
    return np.clip(WALL * np.asarray(light, np.float32) + np.float32(noise) * grain, 0, 255).astype(np.uint8)


def somebody(image, left, light=1.0):
    """A person drawn into a copy of `image`, and their mask (H,W)."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (left, 70), 28, 255, -1)
    cv2.rectangle(mask, (left - 45, 100), (left + 45, 180), 255, -1)
    out = image.copy()
    out[mask > 0] = np.uint8(light * np.float32([205, 30, 40]))
    out[150:156, left - 20 : left + 20] = image[150:156, left - 20 : left + 20]  # a gap that shows the background
    return out, mask


def iou(prob, mask):
    found, truth = from_prob(prob, SIZE, "stretch") > 0.5, mask > 0
    return (found & truth).sum() / (found | truth).sum()


def learnt(name, frames=20, **given):
    find = subtractor(name, frames)
    for seed in range(frames):
        assert find.learning
        assert not find(room(seed=seed, **given)).any()
    assert not find.learning
    return find


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_a_person_who_walks_through_is_found(name):
    find = learnt(name)
    for index in range(30):
        image, mask = somebody(room(seed=100 + index), 40 + 8 * index)
        prob = find(image)
        assert prob.dtype == np.float32 and prob.min() >= 0 and prob.max() <= 1
        assert iou(prob, mask) > 0.9, index
    assert not find(room(seed=200)).any()


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_an_edge_is_soft(name):
    prob = learnt(name)(somebody(room(seed=50), 160)[0])
    assert len(np.unique(prob)) > 5 and (prob == 0).any() and (prob == 1).any()


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_light_that_changes_is_followed_and_who_stands_still_stays(name):
    find = learnt(name)
    for index in range(70):
        light = 1 + 0.002 * index if index < 50 else 0.8  # drifts, and drops at once
        image, mask = somebody(room(light=light, seed=300 + index), 160, light)
        assert iou(find(image), mask) > 0.9, index


@pytest.mark.parametrize("name", ["mean", "mog2"])
def test_a_lamp_on_one_side_is_followed(name):
    find, lamp = learnt(name), np.linspace(0, 1, SIZE[1])[None, :, None]
    for index in range(150):
        assert not find(room(light=1 + 0.002 * index * lamp, seed=index)).any(), index


@pytest.mark.parametrize("name", ["mog2", "knn"])
def test_a_shadow_is_no_person(name):
    shade = np.ones((*SIZE, 1))
    shade[60:160, 100:200] = 0.75
    assert not learnt(name)(room(light=shade, seed=77)).any()


def test_the_mean_by_hand():
    """The mean of 100, 102 and 107 is 103: from there on, 10 grey values more are the person."""
    scene = Mean()
    for grey in (100, 102, 107):
        scene.learn(np.full((20, 20, 3), grey, np.uint8))
    assert not scene.differs(np.full((20, 20, 3), 113, np.uint8)).any() and not scene.differs(np.full((20, 20, 3), 93, np.uint8)).any()
    assert (scene.differs(np.full((20, 20, 3), 114, np.uint8)) == 255).all() and scene.differs(np.full((20, 20, 3), 92, np.uint8)).all()


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_the_background_is_learnt_anew(name):
    find = learnt(name)
    other = [255 - room(seed=seed) for seed in range(21)]
    assert (find(other[20]) > 0.5).mean() > 0.2  # it differs, and its largest part looks like somebody
    find.relearn()
    assert find.learning
    for image in other[:20]:
        find(image)
    assert not find.learning and not find(other[20]).any()


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_another_size_is_another_scene(name):
    find = learnt(name)
    other = find(room()[:90, :100])
    assert other.shape == (90, 100) and find.learning and not other.any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [(0, 128, 128, 255, 3, 0), (0, 0, 0, 128), (255, 255, 255, 1)])
@pytest.mark.parametrize("name", SUBTRACTORS)
def test_odd_pictures_give_numbers(name, values):
    for size in ((1, 1), (1, 900), (700, 1), (2, 3), (90, 160)):
        find = subtractor(name, 2)
        for value in values:
            prob = find(np.full((*size, 3), value, np.uint8))
            assert prob.ndim == 2 and max(prob.shape) <= 320 and np.isfinite(prob).all() and 0 <= prob.min() <= prob.max() <= 1


@pytest.mark.parametrize("name", SUBTRACTORS)
def test_large_pictures_are_looked_at_small_and_in_proportion(name):
    assert subtractor(name)(np.zeros((720, 1280, 3), np.uint8)).shape == (180, 320)
    assert subtractor(name)(np.zeros((1280, 720, 3), np.uint8)).shape == (320, 180)


def test_only_the_largest_part_counts_and_its_holes_are_filled():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:60, 10:60] = 255
    mask[25:45, 25:45] = 0
    mask[80:90, 80:90] = 255
    mask[64, 20:22] = 255  # a speck near enough to be taken in, if it were not removed first
    expected = np.zeros_like(mask)
    expected[10:60, 10:60] = 255
    assert (largest(mask) != expected).sum() <= 16  # the disc rounds the corners off
    mask[:] = 0
    mask[50:55, 50:55] = 255  # 25 pixels of 10,000
    assert not largest(mask).any()


def test_what_is_refused():
    with pytest.raises(InputError, match="no background subtraction 'gmg'; choose one of mean, mog2, knn"):
        subtractor("gmg")
    with pytest.raises(InputError, match="at least 1 frame, got 0"):
        subtractor("mean", 0)
