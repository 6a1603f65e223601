"""The embedded set: determinism, exact alpha, variety, and that no trivial rule solves it."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from portraitseg.data import synthetic
from portraitseg.data.drawn import arms, backgrounds, clothing, details, figure, foregrounds, hair, hats, props
from portraitseg.data.drawn.drawing import Canvas
from portraitseg.data.drawn.person import Person, sample
from portraitseg.data.drawn.scene import Scene
from portraitseg.data.synthetic import Synthetic
from portraitseg.errors import InputError

SIZE = 96


@pytest.fixture(scope="module")
def samples() -> list[tuple[np.ndarray, np.ndarray]]:
    source = Synthetic(50, seed=1, size=SIZE)
    return [source.load(index) for index in range(50)]


@pytest.fixture(scope="module")
def figures(samples) -> np.ndarray:
    return np.array([mask > 127 for _, mask in samples])


def pooled_iou(predicted: np.ndarray, truth: np.ndarray) -> float:
    return (predicted & truth).sum() / (predicted | truth).sum()


def test_description_says_synthetic_and_names_the_way_out():
    assert "synthetic" in synthetic.DESCRIPTION
    assert "--data DIR" in synthetic.DESCRIPTION
    assert "--data DIR" in synthetic.__doc__


@pytest.mark.parametrize("size", [64, 97, 224])
def test_shapes_types_and_names(size):
    source = Synthetic(3, seed=4, size=size)
    image, mask = source.load(2)
    assert len(source) == 3
    assert source.name(2) == "synthetic-4-2"
    assert (image.shape, image.dtype) == ((size, size, 3), np.uint8)
    assert (mask.shape, mask.dtype) == ((size, size), np.uint8)


def test_a_picture_depends_on_seed_and_index_alone(samples):
    again = Synthetic(9999, seed=1, size=SIZE)  # another count, another order, several threads
    order = np.random.default_rng(0).permutation(24)
    with ThreadPoolExecutor(4) as pool:
        drawn = dict(zip(order, pool.map(lambda index: again.load(int(index)), order), strict=True))
    for index in range(24):
        np.testing.assert_array_equal(drawn[index][0], samples[index][0])
        np.testing.assert_array_equal(drawn[index][1], samples[index][1])


def test_indices_and_seeds_give_other_pictures(samples):
    other = Synthetic(10, seed=2, size=SIZE)
    masks = [mask for _, mask in samples] + [other.load(index)[1] for index in range(10)]
    assert len({mask.tobytes() for mask in masks}) == len(masks)


def test_alpha_is_what_black_and_white_backgrounds_recover():
    source = Synthetic(12, seed=3, size=SIZE)
    for index in range(12):
        layers = source.layers(index)
        black, white = (layers._replace(background=np.full_like(layers.background, value)).composed() for value in (0, 255))
        recovered = 1 - (white - black) / 255
        np.testing.assert_allclose(recovered, np.broadcast_to(layers.alpha, recovered.shape), atol=2e-6)
        np.testing.assert_array_equal(source.load(index)[1], np.rint(recovered[0] * 255))
        assert not black[:, layers.alpha == 0].any()  # the figure leaves no trace outside its alpha


def test_the_picture_shows_what_the_mask_says():
    """Before the camera, pixels of alpha 1 are the figure's and pixels of alpha 0 the background's; `load` shows that very scene."""
    source = Synthetic(12, seed=3, size=SIZE)
    for index in range(12):
        layers, (image, _) = source.layers(index), source.load(index)
        scene = layers.composed()
        np.testing.assert_array_equal(scene[:, layers.alpha == 1], layers.figure[:, layers.alpha == 1])
        np.testing.assert_array_equal(scene[:, layers.alpha == 0], layers.background[:, layers.alpha == 0])
        grey, seen = (cv2.blur(np.asarray(picture, np.float32), (5, 5)) for picture in (np.clip(scene, 0, 255).mean(0), image.mean(2)))
        assert np.corrcoef(grey.ravel(), seen.ravel())[0, 1] > 0.75


def test_edges_are_soft(samples):
    for _, mask in samples:
        between = mask[(mask > 0) & (mask < 255)]
        assert 0.005 < between.size / mask.size < 0.4
        assert np.unique(between).size > 20


def test_figures_fill_a_sane_and_varied_share(figures):
    shares = figures.mean((1, 2))
    assert 0.3 < shares.mean() < 0.6
    assert shares.std() > 0.07
    assert shares.min() > 0.03
    assert shares.max() < 0.97


def test_no_blob_solves_it(figures):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    for middle in (0.5, 0.6, 0.7):
        for wide, tall in [(0.2, 0.4), (0.3, 0.5), (0.35, 0.6), (0.4, 0.6)]:
            blob = ((x - 0.5) / wide) ** 2 + ((y - middle) / tall) ** 2 < 1
            assert pooled_iou(np.broadcast_to(blob, figures.shape), figures) < 0.65
    assert pooled_iou(np.broadcast_to(figures.mean(0) > 0.5, figures.shape), figures) < 0.65  # nor the mean of all masks


def test_no_skin_colour_threshold_solves_it(samples, figures):
    """The textbook rule of YCrCb (Chai and Ngan 1999): 133 <= Cr <= 173, 77 <= Cb <= 127."""
    chroma = np.array([cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., 1:] for image, _ in samples])
    skin = ((chroma >= (133, 77)) & (chroma <= (173, 127))).all(-1)
    assert 0.05 < pooled_iou(skin, figures) < 0.5
    assert skin[~figures].mean() > 0.05  # backgrounds hold skin-like colours too


def make_person(seed: int, unit: float = 0.3) -> Person:
    rng = np.random.default_rng(seed)
    return sample(rng, SIZE, np.array([0.5, -0.5], np.float32), place=(0.5, 0.5, unit))


def silhouette(draw, seed: int) -> np.ndarray:
    """The alpha after `draw(canvas, person)`, in [0,255]."""
    canvas = Canvas(SIZE)
    draw(canvas, make_person(seed))
    return canvas.planes[3]


@pytest.mark.parametrize("name", hats.HATS)
def test_hats_belong_to_the_figure(name):
    grown = [silhouette(hats.HATS[name], seed).sum() / 255 for seed in range(3)]
    assert min(grown) > 10


@pytest.mark.parametrize("name", hair.STYLES)
def test_hair_belongs_to_the_figure(name):
    style = hair.STYLES[name]
    for seed in range(3):
        alpha = silhouette(lambda canvas, person: (hair.draw_back(canvas, person, style), hair.draw_cap(canvas, person, style)), seed)
        assert (alpha > 127).sum() > 60


def test_strands_leave_the_hair_thin_and_see_through():
    alpha = silhouette(lambda canvas, person: hair.draw_cap(canvas, person, hair.STYLES["messy"]), 5).astype(np.uint8)
    opened = cv2.morphologyEx(alpha, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    strands = alpha[(opened < 25) & (alpha > 25)]
    assert strands.size > 20
    assert np.median(strands) < 230


@pytest.mark.parametrize("name", arms.RAISED)
def test_raised_hands_belong_to_the_figure(name):
    for side in (-1.0, 1.0):
        alpha = silhouette(lambda canvas, person, side=side: arms.draw_arm(canvas, person, arms.POSES[name], side, 1.0), 0)
        assert (alpha > 127).sum() > 100


@pytest.mark.parametrize("name", clothing.TOPS)
def test_tops_dress_the_whole_trunk(name):
    top = clothing.TOPS[name]
    canvas, person = Canvas(SIZE), make_person(2)
    torso = clothing.draw_torso(canvas, person, top)
    clothing.draw_details(canvas, person, top, torso)
    solid = torso.alpha == 1
    assert solid.sum() > 500
    np.testing.assert_allclose(canvas.planes[3, torso.rows, torso.cols][solid], 255, atol=1e-3)


def test_every_detail_is_worn_by_some_top():
    worn = {name for top in clothing.TOPS.values() for name in (*top.details, *top.maybe)}
    assert worn == set(details.DETAILS)


def test_a_second_figure_joins_the_mask():
    canvas = Canvas(SIZE)
    figure.draw_figure(canvas, make_person(0, 0.2))
    alone = canvas.planes[3].copy()
    rng = np.random.default_rng(9)
    figure.draw_figure(canvas, sample(rng, SIZE, np.array([0.5, -0.5], np.float32), place=(0.15, 0.5, 0.2)))
    assert (canvas.planes[3] >= alone - 1e-3).all()
    assert canvas.planes[3].sum() > 1.3 * alone.sum()


def make_scene(seed: int, likeness: float = 0.2) -> Scene:
    near = np.array([(200, 150, 120), (40, 60, 120), (50, 30, 20)], np.float32)
    return Scene(rng=np.random.default_rng(seed), size=SIZE, near=near, likeness=likeness, chin=(0.5, 0.5), unit=0.3)


@pytest.mark.parametrize("name", backgrounds.BACKGROUNDS)
def test_backgrounds_differ_by_seed(name):
    drawn = [backgrounds.BACKGROUNDS[name](make_scene(seed)) for seed in range(4)]
    assert {(image.shape, image.dtype) for image in drawn} == {((SIZE, SIZE, 3), np.dtype(np.uint8))}
    assert len({image.tobytes() for image in drawn}) == 4


@pytest.mark.parametrize("name", props.PROPS)
def test_props_are_drawn(name):
    changed = []
    for seed in range(6):
        image = np.full((SIZE, SIZE, 3), 128, np.uint8)
        props.PROPS[name](make_scene(seed), image)
        changed.append((image != 128).any(2).mean())
    assert np.mean(changed) > 0.01


@pytest.mark.parametrize("name", foregrounds.FOREGROUNDS)
def test_what_stands_before_the_figure_is_cut_out_of_the_mask(name, monkeypatch):
    monkeypatch.setattr(foregrounds, "FOREGROUNDS", {name: foregrounds.FOREGROUNDS[name]})
    source = Synthetic(4, seed=8, size=SIZE)
    monkeypatch.setattr(synthetic, "OCCLUDED", 0.0)
    free = [source.layers(index).alpha for index in range(4)]
    monkeypatch.setattr(synthetic, "OCCLUDED", 1.0)
    cut = [source.layers(index).alpha for index in range(4)]
    assert all((after <= before + 1e-6).all() for before, after in zip(free, cut, strict=True))
    assert sum(before.sum() - after.sum() for before, after in zip(free, cut, strict=True)) > 5


@pytest.mark.parametrize(("count", "seed", "size"), [(0, 0, 64), (5, -1, 64), (5, 0, 16)])
def test_impossible_sets_are_refused(count, seed, size):
    with pytest.raises(InputError, match="synthetic set"):
        Synthetic(count, seed=seed, size=size)


@pytest.mark.parametrize("index", [-1, 5])
def test_indices_beyond_the_set_are_refused(index):
    with pytest.raises(IndexError, match="of 5"):
        Synthetic(5, seed=0, size=64).load(index)
