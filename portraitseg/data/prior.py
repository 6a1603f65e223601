"""The prior channel of video nets: at times the true mask, moved against its picture as from one frame to the next.

As PortraitNet's video version trains (github.com/dong-x16/PortraitNet, data/data_aug.py), but for three things: blur lengths are for a
side of 224 px and grow with the net; the thin-plate spline also moves the middles of sides and picture, so that a head turns while the
shoulders stay; borders go on instead of turning black, and contrast is not stretched after the blur.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from portraitseg.image import Float32

SHARE = 0.5  # of each of the four motions, and of the picture being moved instead of the prior
RATIO = 0.05  # of the sides: how far a control point moves, before and after
BLUR = (5.0, 30.0)  # length in pixels of a picture with sides of BLUR_SIDE
BLUR_SIDE = 224
STREAM = 4  # keeps these draws apart from those of the augmentation, which start from the same seed

CORNERS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
CONTROL = np.array([[x, y] for y in (0, 0.5, 1) for x in (0, 0.5, 1)])  # of the spline, as shares of the sides

Vector = NDArray[np.float64]


def add_prior(x: Float32, masks: list[Float32], *, empty: float, seed: int) -> tuple[Float32, list[Float32]]:
    """Fill the prior channel of a sample; a pure function of its arguments.

    Args:
        x: (h,w,4), the prior in the last channel still 0.
        masks: (h,w,1) in [0,1]; the first is the truth, and all go the picture's way.
        empty: share of samples whose prior stays 0, as in a video's first frame.
        seed: of all random choices, at least 0.

    Returns:
        The input and the masks. The prior is in [0,1]: either the mask, of which picture and masks were moved away, or the moved mask.
    """
    random = np.random.default_rng([seed, STREAM])
    if random.random() < empty:
        return x, masks
    motion = draw_motion(random, (x.shape[0], x.shape[1]))
    if random.random() < SHARE:
        moved = [motion(mask) for mask in masks]
        return np.dstack([motion(x[..., :3]), masks[0]]), moved
    return np.dstack([x[..., :3], motion(masks[0])]), masks


@dataclass(frozen=True)
class Motion:
    """A blur and a displacement, the same for every picture that it is called with."""

    kernel: Float32 | None
    """Of the blur; None for none."""
    points: Float32 | None
    """(h,w,2): where in the picture each pixel comes from, x and y counted from the centre of the first pixel; None for standing still."""

    def __call__(self, image: Float32) -> Float32:
        """Move a picture or a mask, (h,w,C)."""
        moved = image if self.kernel is None else cv2.filter2D(image, -1, self.kernel, borderType=cv2.BORDER_REPLICATE)
        if self.points is not None:
            moved = cv2.remap(moved, self.points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        moved = np.asarray(moved, np.float32).reshape(image.shape)
        # a long blur is computed by a Fourier transform, which leaves 1e-7 outside the range
        return np.clip(moved, image.min(), image.max(), out=moved) if self.kernel is not None else moved


def draw_motion(random: np.random.Generator, size: tuple[int, int]) -> Motion:
    """Draw motion blur, affine map, perspective and thin-plate spline, each present half of the time, for pictures of `size` (h,w)."""
    blurred, turned, tilted, bent = random.random(4) < SHARE
    side = np.array(size[::-1], np.float32)
    kernel = _blur(random.uniform(*BLUR) * max(size) / BLUR_SIDE, random.uniform(0, np.pi)) if blurred else None
    matrix = np.eye(3)
    if turned:
        before, after = _moved(random, CORNERS[:3], side)
        matrix[:2] = cv2.getAffineTransform(before, after)
    if tilted:
        matrix = matrix @ cv2.getPerspectiveTransform(*_moved(random, CORNERS, side))
    points = pixel_centres(size)
    if bent:
        before, after = _moved(random, CONTROL, side)
        points = points + spline_weights(size) @ (after - before)
    if turned or tilted:
        points = np.asarray(cv2.perspectiveTransform(points, matrix), np.float32)
    return Motion(kernel, points if turned or tilted or bent else None)


def pixel_centres(size: tuple[int, int]) -> Float32:
    """Coordinates x,y of a picture's pixels, (h,w,2), from 0 at the centre of the first."""
    rows, columns = np.indices(size, np.float32)
    return np.dstack([columns, rows])


@lru_cache(maxsize=4)
def spline_weights(size: tuple[int, int]) -> Float32:
    """How much each of the nine control points of a thin-plate spline moves each pixel (Bookstein 1989).

    Returns:
        (h,w,9): times the moves (9,2) of `CONTROL` it is the displacement of each pixel.
    """
    height, width = size
    pixels = ((pixel_centres(size) + 0.5) / np.array([width, height])).reshape(-1, 2)
    corner = np.zeros((3, 3))
    flat = np.column_stack([np.ones(len(CONTROL)), CONTROL])
    system = np.block([[_bending(CONTROL), flat], [flat.T, corner]])
    basis = np.column_stack([_bending(pixels), np.ones(len(pixels)), pixels])
    weights = basis @ np.linalg.inv(system)[:, : len(CONTROL)]
    return np.asarray(weights.reshape(height, width, -1), np.float32)


def _bending(points: NDArray[np.floating]) -> Vector:
    """r^2 log r of each point's distance to each control point."""
    squared = ((np.asarray(points, float)[:, None] - CONTROL) ** 2).sum(-1)
    return np.asarray(0.5 * squared * np.log(np.where(squared > 0, squared, 1)))


def _moved(random: np.random.Generator, points: NDArray[np.floating], side: Float32) -> tuple[Float32, Float32]:
    """The points in pixels, moved twice."""
    moves = random.uniform(-RATIO, RATIO, (2, *points.shape))
    before, after = np.asarray((points + moves) * side, np.float32)
    return before, after


def _blur(length: float, angle: float) -> Float32:
    """A line through the centre: the kernel of a straight motion, `length` in pixels, `angle` in radians."""
    reach = max(1, round(length / 2))
    x, y = np.rint(reach * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    cv2.line(kernel, (int(reach - x), int(reach - y)), (int(reach + x), int(reach + y)), 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)
