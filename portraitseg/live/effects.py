"""What is made of a frame and its prob: the mask at full size, the person's colours, what stands behind."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from portraitseg.compose import blend
from portraitseg.compose.backdrops import SECONDS, Backdrop, open_backdrop
from portraitseg.compose.blocks import Picked
from portraitseg.compose.bokeh import blur, lens
from portraitseg.compose.colour_transfer import ColourTransfer
from portraitseg.compose.components import fill_holes, largest_component
from portraitseg.compose.compositor import Compositor, enlarge, levels, soften
from portraitseg.compose.foreground import Decontaminator
from portraitseg.compose.refine import Refiner
from portraitseg.compose.seamless import SeamlessClone
from portraitseg.image import Float32, UInt8
from portraitseg.live.frames import Frame
from portraitseg.live.harmonizer import Harmonizer, open_harmonizer
from portraitseg.live.look import Look

BLURS = {"blur": blur, "bokeh": lens}
HARMONIZER = Path(__file__).parents[2] / "models" / "harmonizer" / "harmonizer-wm100-64-int8.tflite"
CLONED = 3
"""Of so many frames the clone is made for one."""
MEMORY = 0.9
"""Share of colours' statistics and of a clone's changes that is kept from frame to frame."""


Recolour = Callable[[UInt8, UInt8, UInt8], UInt8]
"""(image, alpha, background) -> the image with the person's colours fitted to what stands behind, to be blended by alpha."""
Behind = Callable[[Frame, UInt8 | None], UInt8]
"""(frame, alpha) -> what goes behind the person, RGB (H,W,3)."""


class Effects:
    """Composites as the look asks for."""

    def __init__(
        self,
        backgrounds: Sequence[str] = ("blur",),
        *,
        look: Look | None = None,
        edges: bool = True,
        fit: str = "crop",
        slide_seconds: float = SECONDS,
        harmonizer: Path | None = None,
        threads: int = 2,
        clean: bool = False,
        largest: bool = False,
        holes: bool = False,
        transparent: bool = False,
    ) -> None:
        """Open the backgrounds.

        Args:
            backgrounds: "blur", "bokeh", or what `open_backdrop` takes; at least one.
            look: what may be changed meanwhile.
            edges: the mask follows the frame's own edges, see `refine.Refiner`; otherwise the prob is enlarged as it is.
            fit: see `open_backdrop`.
            slide_seconds: see `open_backdrop`.
            harmonizer: the net's file; default: the bundled one. It is opened when it is first asked for.
            threads: of the CPU, for that net.
            clean: estimate the person's own colours at the edge.
            largest: keep the largest connected part of the mask alone.
            holes: fill holes in the mask.
            transparent: give the person alone, as RGBA.

        Raises:
            InputError: a background cannot be used.
        """
        self.look = look or Look()
        self._opened: list[Backdrop] = []
        self._behind = [self._open(text, fit, slide_seconds) for text in backgrounds]
        self._refine = Refiner() if edges else None
        self._large: UInt8 = np.empty((0, 0), np.uint8)
        self._blend, self._transfer, self._clone = Compositor(), ColourTransfer(memory=MEMORY), SeamlessClone(every=CLONED, memory=MEMORY)
        self._open_harmonizer = partial(open_harmonizer, harmonizer or HARMONIZER, threads=threads)
        self._harmonizer: Harmonizer | None = self._open_harmonizer() if harmonizer or self.look.harmonize else None
        self._clean = Decontaminator() if clean else None
        self._largest, self._holes, self._transparent = largest, holes, transparent

    def __call__(self, frame: Frame, prob: Float32) -> UInt8:
        """See `pipeline.Effect`."""
        alpha, band = self._mask(frame.image, prob)
        person = self._clean(frame.image, alpha) if self._clean else frame.image
        if self._transparent:
            return blend.cut_out(person, alpha)
        background = self.background(frame, alpha)
        for recolour in self._recolours():
            person = recolour(person, alpha, background)
        return self._blend(person, alpha, background, band=band)

    def background(self, frame: Frame, alpha: UInt8 | None = None) -> UInt8:
        """What stands behind the person, RGB (H,W,3); a blurred frame is without the person where `alpha` (H,W) says so."""
        return self._behind[self.look.background % len(self._behind)](frame, alpha)

    def alpha(self, image: UInt8, prob: Float32) -> UInt8:
        """The mask of RGB (H,W,3): prob (h,w) -> alpha (H,W), 0 to 255, which holds until the next call."""
        return self._mask(image, prob)[0]

    def close(self) -> None:
        """Free the backgrounds' files."""
        for backdrop in self._opened:
            backdrop.close()

    def _open(self, text: str, fit: str, seconds: float) -> Behind:
        if text in BLURS:
            return lambda frame, alpha: BLURS[text](frame.image, alpha)
        backdrop = open_backdrop(text, fit=fit, seconds=seconds)
        self._opened.append(backdrop)
        return lambda frame, alpha: backdrop(frame.image.shape[:2], frame.time)

    def _mask(self, image: UInt8, prob: Float32) -> tuple[UInt8, Picked | None]:
        """The alpha, and its soft blocks as long as nothing is done to it."""
        prob = largest_component(prob) if self._largest else prob
        prob = fill_holes(prob) if self._holes else prob
        if self._refine is None:
            large = self._large = enlarge(prob, image.shape[:2], self._large if self._large.shape == image.shape[:2] else None)
        else:
            large = self._refine(image, prob)
        alpha, band = self._blend.look_up(large, levels(self.look.threshold, self.look.feather, smooth=self.look.smooth_step))
        return (soften(alpha, self.look.soften), None) if self.look.soften else (alpha, band)

    def _recolours(self) -> Iterator[Recolour]:
        """The effects that are on."""
        if self.look.colour_transfer:
            yield self._transfer
        if self.look.harmonize:
            self._harmonizer = self._harmonizer or self._open_harmonizer()
            yield self._harmonizer
        if self.look.seamless:
            yield self._clone
