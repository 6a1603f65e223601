"""What PySODMetrics (pysodmetrics on PyPI) says of pictures made here: writes published.json, or compares with it (--check).

Its releases exclude NumPy 2.4 and OpenCV 5, so it runs in an environment of its own, and this script knows nothing of portraitseg:
    python -m venv /tmp/sod && /tmp/sod/bin/pip install pysodmetrics==1.6.2 && /tmp/sod/bin/python tests/metrics/published.py
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("published.json")


def smooth(values, times):
    """Integer box blur, so that every NumPy gives the same bytes."""
    for axis in (0, 1) * times:
        padded = np.pad(values, [(2, 2) if side == axis else (0, 0) for side in (0, 1)], mode="edge")
        values = sum(np.take(padded, range(shift, shift + values.shape[axis]), axis) for shift in range(5)) // 5
    return values


def person(height, width):
    """Head and shoulders, cut off by the lower rim, with a hole and a thin line."""
    y, x = np.mgrid[:height, :width]
    head = (x - width // 2) ** 2 * 4 + (y - height // 3) ** 2 * 3 < (height // 3) ** 2 * 3
    body = (x - width // 2) ** 2 * 2 + (y - height) ** 2 * 3 < (height // 3) ** 2 * 4
    hole = (x - width // 2) ** 2 + (y - height + 9) ** 2 < 16
    return (head | body | (x == width // 5)) & ~hole


def cases():
    """Name -> prob and mask, both uint8 (H,W)."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (96, 72))
    tall, wide = person(96, 72), person(60, 91)
    made = {
        "blurred": (smooth(255 * tall, 2), tall),
        "shifted": (smooth(255 * np.roll(wide, 4, 1), 1), wide),
        "noisy": (np.clip(smooth(255 * tall, 1) + noise // 2 - 64, 0, 255), tall),
        "noise alone": (noise, tall),
        "faint": (40 + 120 * wide, wide),
        "exact": (255 * wide, wide),
        "inverted": (255 - 255 * tall, tall),
        "nothing found": (0 * tall, tall),
        "all found": (0 * tall + 255, tall),
        "half found everywhere": (0 * tall + 100, tall),
        "all person": (noise, tall | True),
        "corner": (smooth(noise, 1), np.pad(np.ones((7, 5), bool), ((0, 89), (67, 0)))),
        "one pixel": (smooth(noise, 3), np.pad(np.ones((1, 1), bool), ((40, 55), (30, 41)))),
    }
    return {name: (prob.astype(np.uint8), np.uint8(255) * mask) for name, (prob, mask) in made.items()}


def digest():
    """Of the pictures, so that values of other pictures are not taken for theirs."""
    return hashlib.sha256(b"".join(picture.tobytes() for pair in cases().values() for picture in pair)).hexdigest()


def published():
    """Each picture's scores and the whole set's."""
    import py_sod_metrics as sod

    def measured(chosen):
        meters = sod.Fmeasure(), sod.WeightedFmeasure(), sod.Smeasure(), sod.MAE()
        iou = sod.FmeasureV2({"iou": sod.IOUHandler(with_adaptive=False, with_dynamic=False, with_binary=True, sample_based=False)})
        for prob, mask in chosen:
            for meter in meters:
                meter.step(prob / 255, mask > 0, normalize=False)
            iou.step(np.float64(prob > 127), mask > 0, normalize=False)
        (precision, recall), weighted, structure, mae = (
            (curve := meters[0].get_results()["pr"])["p"], curve["r"]
        ), *(meter.get_results() for meter in meters[1:])  # fmt: skip
        f_beta = 1.3 * precision * recall / np.maximum(0.3 * precision + recall, 1e-12)
        return {
            "max_f": float(f_beta.max()), "weighted_f": float(weighted["wfm"]), "s_measure": float(structure["sm"]),
            "mae": float(mae["mae"]), "iou": float(iou.get_results()["iou"]["binary"]),
        }  # fmt: skip

    rows = {name: measured([pair]) for name, pair in cases().items()}
    return {"pysodmetrics": "1.6.2", "sha256": digest(), "pictures": rows, "set": measured(cases().values())}


def alike(one, other):
    """Whether both hold the same, to what a processor's order of summing changes in the last digits of a float."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return abs(one - other) < 1e-9 if isinstance(one, float) else one == other


def main():
    """Write the file or check it."""
    found = published()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    elif not alike(found, json.loads(FILE.read_text())):
        sys.exit(f"{FILE} does not hold what this release of PySODMetrics says; write it anew without --check and see what changed")


if __name__ == "__main__":
    main()
