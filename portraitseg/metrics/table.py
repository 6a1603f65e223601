"""The metrics by name: what each is called, how it is printed, which way is better."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from portraitseg.errors import InputError
from portraitseg.metrics.boundary import boundary_f, boundary_iou
from portraitseg.metrics.matting import connectivity_error, gradient_error, mse, sad
from portraitseg.metrics.picture import Picture
from portraitseg.metrics.region import mae
from portraitseg.metrics.s_measure import s_measure
from portraitseg.metrics.weighted_f import weighted_f

Score = Callable[[Picture], float]


@dataclass(frozen=True)
class Metric:
    """How a metric is named, made and shown."""

    title: str
    score: Score | None = None
    """Of one picture; None where the meter or the frame before is needed too."""
    unit: str = ""
    decimals: int = 4
    higher: bool = False
    """Whether higher is better."""

    def text(self, value: float) -> str:
        """A value as it is printed."""
        return f"{value:.{self.decimals}f} {self.unit}".strip()


def _percent(title: str, score: Score | None = None) -> Metric:
    return Metric(title, score and (lambda picture: 100 * score(picture)), unit="%", decimals=2, higher=True)


STILL = {
    "iou": _percent("IoU of the person"),
    "miou": _percent("mIoU of both classes"),
    "mae": Metric("MAE", lambda picture: mae(picture.prob, picture.mask)),
    "boundary_f": _percent("boundary F", lambda picture: boundary_f(picture.found, picture.truth)),
    "max_f": _percent("max F-beta (0.3)"),
    "weighted_f": _percent("weighted F", lambda picture: weighted_f(picture.prob, picture.truth)),
    "s_measure": _percent("S-measure", lambda picture: s_measure(picture.prob, picture.truth)),
    "boundary_iou": _percent("boundary IoU", lambda picture: boundary_iou(picture.found, picture.truth)),
    "sad": Metric("SAD", lambda picture: sad(picture.prob, picture.alpha), unit="thousand", decimals=3),
    "mse": Metric("MSE", lambda picture: mse(picture.prob, picture.alpha), decimals=5),
    "gradient": Metric("gradient error", lambda picture: gradient_error(picture.prob, picture.alpha), unit="thousand", decimals=3),
    "connectivity": Metric(
        "connectivity error", lambda picture: connectivity_error(picture.prob, picture.alpha), unit="thousand", decimals=3
    ),
}
"""Of a picture and its mask."""
VIDEO = {"dtssd": Metric("dtSSD x 100", decimals=2), "flicker": Metric("flicker x 1000", decimals=2)}
"""Of a frame and the one before."""
METRICS = STILL | VIDEO
BASIC = ("iou", "miou", "mae", "boundary_f")
"""What is measured unless something else is asked for."""


def select(metrics: str | Iterable[str]) -> tuple[str, ...]:
    """Names of metrics from a list or from "iou,weighted_f"; "all" stands for every one of still pictures.

    Raises:
        InputError: a name is not known, is given twice, or needs consecutive frames; or there is none.
    """
    names = [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else list(metrics)
    names = [name for given in names for name in (STILL if given == "all" else [given])]
    if unknown := [name for name in names if name not in METRICS]:
        raise InputError(f"unknown metric {', '.join(map(repr, unknown))}; allowed are all, {', '.join(STILL)}")
    if frames := [name for name in names if name in VIDEO]:
        raise InputError(f"{' and '.join(frames)} compare consecutive frames: leave the name out and say that it is a video (--video)")
    if not names or len(set(names)) < len(names):
        raise InputError(f"metrics must be named once each, got {', '.join(names) or 'none'}; allowed are all, {', '.join(STILL)}")
    return tuple(names)
