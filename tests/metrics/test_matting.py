"""Errors of soft masks: worked by hand, and against references written in plain NumPy from the papers."""

import numpy as np
import pytest

from portraitseg.metrics import Meter, connectivity_error, gradient_error, mse, sad

F32 = np.float32


def pictures(count=6, size=(23, 31)):
    """Smooth random opacities with flat 0 and 1, and probs near them."""
    random = np.random.default_rng(11)
    for _ in range(count):
        alpha, prob = (np.kron(random.normal(0.5, 0.8, (6, 8)), np.ones((4, 4)))[: size[0], : size[1]] for _ in range(2))
        alpha = np.clip(alpha, 0, 1).astype(F32)
        yield np.clip(0.7 * alpha + 0.4 * prob, 0, 1).astype(F32), alpha


def test_sad_and_mse_by_hand():
    alpha, prob = np.zeros((50, 40), F32), np.full((50, 40), 0.5, F32)
    assert sad(prob, alpha) == pytest.approx(1.0)  # 2000 * 0.5, in thousands
    assert mse(prob, alpha) == pytest.approx(0.25)


def reference_gradient(values, sigma=1.4, epsilon=0.01):
    """gaussgradient.m: normalised 2-D filters, convolved pixel by pixel over a repeated rim."""
    half = int(np.ceil(sigma * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * sigma * epsilon))))
    at = np.arange(-half, half + 1)
    gauss = np.exp(-(at**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    filt = np.outer(gauss, -at * gauss / sigma**2)
    filt /= np.sqrt((filt**2).sum())
    padded = np.pad(values.astype(np.float64), half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, filt.shape)
    return np.hypot((windows * filt).sum((2, 3)), (windows * filt.T).sum((2, 3)))


def test_gradient_error_as_the_papers_filters_give_it():
    for prob, alpha in pictures():
        expected = ((reference_gradient(prob) - reference_gradient(alpha)) ** 2).sum() / 1000
        assert expected > 0.01
        assert gradient_error(prob, alpha) == pytest.approx(expected, rel=1e-5)


def test_gradient_error_of_a_step_by_hand():
    alpha, prob = np.zeros((40, 40), F32), np.zeros((40, 40), F32)
    alpha[:, 20:] = 1
    # Filters: g(y) g'(x), scaled so that their squares sum to 1. Across a vertical step the response at distance d is the sum of g' beyond
    # d, times the sum of g; the prob is flat, so these squares, once a row and column, are the error.
    x = np.arange(-4, 5)
    g = np.exp(-(x**2) / (2 * 1.4**2))
    slope = x * g
    response = [slope[x >= d].sum() * g.sum() / np.sqrt((g**2).sum() * (slope**2).sum()) for d in range(-3, 5)]
    assert gradient_error(prob, alpha) == pytest.approx(40 * np.square(response).sum() / 1000, rel=1e-5)


def largest_region(binary):
    """The largest 4-connected region, by growing each from its first pixel."""
    best, seen = np.zeros_like(binary), np.zeros_like(binary)
    for start in zip(*np.nonzero(binary), strict=True):
        if seen[start]:
            continue
        region, todo = np.zeros_like(binary), [start]
        while todo:
            y, x = todo.pop()
            if 0 <= y < binary.shape[0] and 0 <= x < binary.shape[1] and binary[y, x] and not region[y, x]:
                region[y, x] = True
                todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        seen |= region
        if region.sum() > best.sum():
            best = region
    return best


def reference_connectivity(prob, alpha):
    """compute_connectivity_error.m: -1 marks pixels that have always belonged to the main body so far."""
    level = np.full(alpha.shape, -1.0)
    for step in range(1, 11):
        main = largest_region((prob >= F32(step / 10)) & (alpha >= F32(step / 10)))
        level[(level == -1) & ~main] = (step - 1) / 10
    level[level == -1] = 1
    phi = [1 - (values - level) * (values - level >= 0.15) for values in (prob, alpha)]
    return np.abs(phi[0] - phi[1]).sum() / 1000


def test_connectivity_error_as_the_papers_algorithm_gives_it():
    for prob, alpha in pictures():
        expected = reference_connectivity(prob, alpha)
        assert expected > 0.005
        assert connectivity_error(prob, alpha) == pytest.approx(expected, rel=1e-4)


def test_connectivity_error_by_hand():
    alpha, prob = np.zeros((10, 10), F32), np.zeros((10, 10), F32)
    alpha[:, :4] = prob[:, :4] = 1  # the body
    alpha[2, 8] = prob[2, 8] = 1  # an island of both: loose by 1 in both, no error
    prob[7, 7:9] = 0.6  # an island of the prob alone, 2 pixels: loose by 0.6 each
    prob[0, 0] = 0.92  # hangs together up to 0.9, is 0.02 above, which is forgiven; the mask is 0.1 above, which is too
    assert connectivity_error(prob, alpha) == pytest.approx(1.2 / 1000)


def test_soft_metrics_of_a_set_are_means_over_pictures_and_read_the_mask_as_opacity():
    meter = Meter("sad,mse,gradient,connectivity")
    meter.add("a", np.full((20, 20), 0.2, F32), np.full((20, 20), 51, np.uint8))  # 51 / 255 = 0.2: no error at all
    meter.add("b", np.full((20, 20), 0.7, F32), np.full((20, 20), 51, np.uint8))  # off by 0.5; level 0.2: loose by 0.5 and by 0
    assert meter.rows[0] == {"name": "a", "sad": 0, "mse": 0, "gradient": pytest.approx(0), "connectivity": 0}
    summary = meter.summary()
    assert summary == pytest.approx({"sad": 0.1, "mse": 0.125, "gradient": 0, "connectivity": 0.1}, abs=1e-6)
