"""Processor time of each metric a picture, in ms, one thread, on drawn portraits of 512x512; the probs are blurred masks with noise."""

import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from portraitseg.data.synthetic import Synthetic
from portraitseg.metrics import METRICS, STILL, Meter, Picture, dtssd, flicker

SIZE, PICTURES = 512, 20


def picture(index: int, mask: np.ndarray) -> np.ndarray:
    """A plausible prob (H,W): the mask shifted, blurred, with smooth noise."""
    random = np.random.default_rng(index)
    noise = cv2.GaussianBlur(random.normal(0, 1, mask.shape).astype(np.float32), (0, 0), 8)
    return np.clip(cv2.GaussianBlur(np.roll(mask, 3, 1).astype(np.float32) / 255, (0, 0), 3) + 2 * noise, 0, 1)


def milliseconds(run: Callable[[int], object]) -> float:
    """The median over the pictures."""
    times = []
    for index in range(PICTURES):
        start = time.process_time()
        run(index)
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times)


def main() -> None:
    """Print a table."""
    cv2.setNumThreads(1)
    source = Synthetic(PICTURES, seed=1, size=SIZE)
    images, masks = zip(*(source.load(index) for index in range(PICTURES)), strict=True)
    probs = [picture(index, mask) for index, mask in enumerate(masks)]
    alphas = [Picture(prob, mask).alpha for prob, mask in zip(probs, masks, strict=True)]
    for name in [*STILL, "all"]:
        meter = Meter(name)
        took = milliseconds(lambda index, meter=meter: meter.add("", probs[index], masks[index]))
        print(f"{name:<14}{took:6.1f}")
    print(f"{'dtssd':<14}{milliseconds(lambda index: dtssd(probs[index - 1], probs[index], alphas[index - 1], alphas[index])):6.1f}")
    print(f"{'flicker':<14}{milliseconds(lambda index: flicker(images[index - 1], images[index], probs[index - 1], probs[index])):6.1f}")
    assert set(METRICS) == {*STILL, "dtssd", "flicker"}


if __name__ == "__main__":
    main()
