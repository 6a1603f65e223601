"""Pictures without masks, and sources that take a model's prob for what is missing."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from portraitseg import image
from portraitseg.data.discovery import ENDINGS, MASKS
from portraitseg.data.headers import probe
from portraitseg.data.pairs import listed
from portraitseg.data.sources import Source
from portraitseg.errors import InputError
from portraitseg.image import SUFFIXES, UInt8


@dataclass(frozen=True)
class Predictions:
    """A model's prob of each picture of a source, as 8-bit PNG files of the model's size."""

    paths: tuple[Path, ...]
    fit: str
    """How the model's pictures are fitted: "stretch" or "letterbox"."""

    def load(self, index: int, size: tuple[int, int]) -> UInt8:
        """The prob (H,W), 0 to 255, at the picture's own size.

        Raises:
            InputError: the file is missing or broken.
        """
        prob = image.read(self.paths[index])[..., 0].astype(np.float32) / np.float32(255)
        return np.rint(255 * image.from_prob(prob, size, self.fit)).astype(np.uint8)

    def take(self, indices: Sequence[int]) -> "Predictions":
        """Those of some of the pictures."""
        return Predictions(tuple(self.paths[index] for index in indices), self.fit)


@dataclass(frozen=True)
class Panel:
    """Several models' probs of each picture."""

    predictions: tuple[Predictions, ...]
    asked: tuple[tuple[int, ...], ...]
    """The models that answer for each picture; of several the mean counts."""

    def load(self, index: int, size: tuple[int, int]) -> UInt8:
        """The prob (H,W), 0 to 255, at the picture's own size.

        Raises:
            InputError: a file is missing or broken.
        """
        probs = [self.predictions[number].load(index, size) for number in self.asked[index]]
        return probs[0] if len(probs) == 1 else np.rint(np.mean(probs, axis=0)).astype(np.uint8)

    def take(self, indices: Sequence[int]) -> "Panel":
        """Those of some of the pictures."""
        return Panel(tuple(each.take(indices) for each in self.predictions), tuple(self.asked[index] for index in indices))


@dataclass(frozen=True)
class Unlabelled:
    """Pictures of a folder; their masks are empty, for none is known."""

    root: Path
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        """The picture's path below the folder, after the folder's name."""
        return f"{self.root.name}/{self.paths[index].relative_to(self.root).as_posix()}"

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """Picture, RGB (H,W,3), and an empty mask (H,W).

        Raises:
            InputError: the file is broken.
        """
        picture = image.read(self.paths[index])
        return picture, np.zeros(picture.shape[:2], np.uint8)

    def take(self, indices: Sequence[int]) -> "Unlabelled":
        """Some of the pictures."""
        return Unlabelled(self.root, tuple(self.paths[index] for index in indices))


@dataclass(frozen=True)
class Masked:
    """A source whose masks are a model's probs."""

    source: Source
    probs: Predictions | Panel

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """As the source has it."""
        return self.source.name(index)

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """Picture, RGB (H,W,3), and the prob (H,W), 0 to 255."""
        picture, mask = self.source.load(index)
        return picture, self.probs.load(index, mask.shape)


class Joined:
    """Sources one after the other."""

    def __init__(self, *sources: Source) -> None:
        self.sources = sources
        self.ends = list(accumulate(map(len, sources)))

    def __len__(self) -> int:
        return self.ends[-1]

    def name(self, index: int) -> str:
        """As the sample's own source has it."""
        source, inner = self._find(index)
        return source.name(inner)

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """As the sample's own source loads it."""
        source, inner = self._find(index)
        return source.load(inner)

    def _find(self, index: int) -> tuple[Source, int]:
        number = bisect_right(self.ends, index)
        return self.sources[number], index - self.ends[number] + len(self.sources[number])


@dataclass(frozen=True)
class Taught:
    """A source with a teacher's prob of every picture; the masks of the first `labelled` samples are to be learned, the others' are not."""

    source: Source
    teacher: Predictions | Panel
    labelled: int
    digest: str
    """Of the teacher, or teachers."""

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        """As the source has it."""
        return self.source.name(index)

    def load(self, index: int) -> tuple[UInt8, UInt8]:
        """As the source loads it."""
        return self.source.load(index)


def find_pictures(root: Path, known: Collection[Path] = ()) -> tuple[Unlabelled, list[str]]:
    """Find the pictures anywhere below a folder, and the lines to print; masks, by the names of files and folders, are passed over.

    Args:
        root: the folder.
        known: pictures (resolved paths) to leave out: those with masks, and above all those to validate on.

    Raises:
        InputError: there is no such folder, or no usable picture in it.
    """
    if not root.is_dir():
        raise InputError(f"no folder {root}; --unlabelled takes a folder of pictures")
    found = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in SUFFIXES and _is_picture(path.relative_to(root))]
    fresh = [path for path in found if path.resolve() not in known]
    broken = [path for path in fresh if not _readable(path)]
    good = tuple(path for path in fresh if path not in set(broken))
    report = [f"{root}: pictures without a mask: {len(good)}"]
    if len(fresh) < len(found):
        report.append(f"{root}: left out, being in the training or validation set: {len(found) - len(fresh)}")
    if broken:
        report.append(f"warning: pictures with a broken file, left out: {listed(path.name for path in broken)}")
    if not good:
        raise InputError(f"no usable picture in {root} ({'; '.join(report)}); --unlabelled takes a folder of further pictures")
    return Unlabelled(root, good), report


def _is_picture(inner: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in inner.parts)
    return not hidden and not inner.stem.lower().endswith(ENDINGS) and not {part.lower() for part in inner.parts[:-1]} & set(MASKS)


def _readable(path: Path) -> bool:
    try:
        probe(path)
    except InputError:
        return False
    return True
