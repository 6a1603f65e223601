"""The gate before an artifact gets its name: does it say what the checkpoint says, on pictures that neither was fitted to?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tf_keras as keras
from tqdm import tqdm

from portraitseg import image
from portraitseg.archs import logits_model
from portraitseg.card import Card
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.metrics import Meter
from portraitseg.runtime.base import Runtime

Float = npt.NDArray[np.float32]
Reference = Callable[[Float], Float]
"""Prepared input (h,w,C) -> prob (h,w)."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far an artifact may be from its checkpoint."""

    mean_abs: float
    """Mean |delta prob| over all pictures, in [0,1]."""
    worst_abs: float
    """Mean |delta prob| of the worst picture."""
    iou_drop: float
    """Loss of the person's IoU, pooled, in points."""


TOLERANCES = {
    "fp32": Tolerance(mean_abs=1e-4, worst_abs=1e-3, iou_drop=0.05),
    "fp16": Tolerance(mean_abs=2e-3, worst_abs=1e-2, iou_drop=0.1),
    "dynamic": Tolerance(mean_abs=1e-2, worst_abs=5e-2, iou_drop=0.5),
    "int8": Tolerance(mean_abs=2e-2, worst_abs=1e-1, iou_drop=1.0),
    "int16x8": Tolerance(mean_abs=1e-2, worst_abs=5e-2, iou_drop=0.5),
}
MIN_SPREAD = 0.01
"""Below this standard deviation over the picture a prob is constant: any artifact of it agrees with it."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """An artifact against its checkpoint."""

    pictures: int
    mean_abs: float
    """Mean |delta prob| at the net's size, over all pictures."""
    worst_abs: float
    worst_name: str
    iou_reference: float
    """IoU of the checkpoint's person with the mask, pooled, in percent."""
    iou_artifact: float
    spread: float
    """Standard deviation of the checkpoint's prob over a picture, averaged over the pictures."""

    @property
    def iou_drop(self) -> float:
        """In points; negative where the artifact is the better one."""
        return self.iou_reference - self.iou_artifact

    def line(self, quant: str) -> str:
        """The figures, each with what is allowed."""
        allowed = TOLERANCES[quant]
        return (
            f"mean |delta prob| {self.mean_abs:.5f} (allowed {allowed.mean_abs:g}), worst picture {self.worst_name} with "
            f"{self.worst_abs:.5f} (allowed {allowed.worst_abs:g}), IoU {self.iou_reference:.2f} -> {self.iou_artifact:.2f}: a drop of "
            f"{round(self.iou_drop, 2) + 0.0:.2f} points (allowed {allowed.iou_drop:g})"
        )


def keras_reference(model: keras.Model, card: Card) -> Reference:
    """The checkpoint's net as it was trained, unfolded: prepared input (h,w,C) -> prob of the person (h,w)."""
    trunk = logits_model(model)

    def run(x: Float) -> Float:
        logits = np.asarray(trunk(x[None], training=False), np.float64)[0]
        margin = logits[..., 0] if card.classes == 1 else logits[..., 1] - logits[..., 0]  # softmax of two = sigmoid of this
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * margin), np.float32)  # the sigmoid, without overflow

    return run


def compare(reference: Reference, artifact: Runtime, source: Source, indices: Sequence[int], *, prepared: Card | None = None) -> Parity:
    """Run both on the same pictures.

    Args:
        reference: takes what `image.to_input` makes of a picture.
        artifact: takes the picture itself, so that its own preparation is part of what is compared.
        source: pictures with masks.
        indices: which of them.
        prepared: how the reference's input is prepared (default: as the artifact's; an int8 file may hold the normalisation itself).

    Raises:
        InputError: there is no picture.
    """
    if not indices:
        raise InputError("no held-out pictures to compare the artifact on; give a folder with pictures and masks: --data DIR")
    card = artifact.card
    meters = Meter(boundary=False), Meter(boundary=False)
    errors, spreads = [], []
    for index in tqdm(indices, desc="comparing", unit="picture"):
        picture, mask = source.load(index)
        probs = reference(image.to_input(picture, prepared or card)), artifact(picture)
        for meter, prob in zip(meters, probs, strict=True):
            meter.add(source.name(index), image.from_prob(prob, (mask.shape[0], mask.shape[1]), card.fit), mask)
        errors.append(float(np.abs(probs[0] - probs[1]).mean()))
        spreads.append(float(probs[0].std()))
    worst = int(np.argmax(errors))
    return Parity(
        pictures=len(indices),
        mean_abs=float(np.mean(errors)),
        worst_abs=errors[worst],
        worst_name=source.name(indices[worst]),
        iou_reference=meters[0].summary()["iou"],
        iou_artifact=meters[1].summary()["iou"],
        spread=float(np.mean(spreads)),
    )


def complaints(parity: Parity, quant: str) -> list[str]:
    """What speaks against the artifact; empty when it passes."""
    allowed = TOLERANCES[quant]
    found = []
    if parity.spread < MIN_SPREAD:
        found.append(
            f"the checkpoint's prob is constant over the picture (standard deviation {parity.spread:.4f}, at least {MIN_SPREAD}), so "
            "agreement says nothing: is it trained?"
        )
    if not parity.mean_abs <= allowed.mean_abs:  # not <=: a NaN does not pass
        found.append(f"mean |delta prob| is {parity.mean_abs:.5f}, allowed {allowed.mean_abs:g}")
    if not parity.worst_abs <= allowed.worst_abs:
        found.append(f"picture {parity.worst_name} differs by {parity.worst_abs:.5f} on average, allowed {allowed.worst_abs:g}")
    if not parity.iou_drop <= allowed.iou_drop:
        found.append(f"IoU drops by {parity.iou_drop:.2f} points, allowed {allowed.iou_drop:g}")
    return found
