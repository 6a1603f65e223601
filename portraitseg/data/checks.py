"""Whether pairs can be used: every file looked at without decoding it, some masks decoded, sizes compared."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from portraitseg import image, masks
from portraitseg.data.headers import probe
from portraitseg.data.pairs import Pair, listed
from portraitseg.errors import InputError
from portraitseg.exif import upright
from portraitseg.image import UInt8

ASPECT = 0.02  # a mask whose aspect is this near to its picture's is the same view at another resolution
SAMPLE = 64  # masks decoded at the start
KINDS = {
    "broken": "pairs with a broken file, left out",
    "unequal": "pairs of unequal shape, left out",
    "resized": "masks of their picture's shape but another size, resized to it",
    "turned": "masks drawn on the picture as stored, turned upright with it",
}
LEFT_OUT = ("broken", "unequal")


def load_pair(pair: Pair) -> tuple[UInt8, UInt8]:
    """Read a pair: picture (H,W,3) and mask (H,W), 0 to 255.

    A mask of the picture's aspect is resized to it; one that was drawn on the picture as stored is turned upright with it.

    Raises:
        InputError: a file is broken, or the sizes do not fit.
    """
    picture = image.read(pair.image)
    if pair.mask == pair.image:
        return picture, _alpha(pair)
    mask = image.read_mask(pair.mask)
    size = (picture.shape[0], picture.shape[1])
    if mask.shape == size:
        return picture, mask
    turn = probe(pair.image).orientation
    relation = _relation(size, mask.shape, turn)
    if relation == "unequal":
        raise InputError(f"{_unequal(pair, size, mask.shape)}; replace the mask")
    mask = upright(mask, turn) if relation == "turned" else mask
    return picture, image.resize(mask, size)


def check_pairs(pairs: Sequence[Pair], root: Path) -> tuple[list[Pair], list[str]]:
    """Leave out pairs that cannot be used.

    Returns:
        The usable pairs, and the report's lines: how many were left out and why, and how many masks will be resized or turned.

    Raises:
        InputError: no pair can be used.
    """
    with ThreadPoolExecutor() as pool:
        verdicts = list(tqdm(pool.map(_verdict, pairs), "checking", len(pairs), delay=2, leave=False, disable=None))
    lines = []
    for kind, what in KINDS.items():
        if texts := [text for found, text in verdicts if found == kind]:
            lines.append(f"warning: {what}: {listed(texts)}")
    good = [pair for pair, (kind, _) in zip(pairs, verdicts, strict=True) if kind not in LEFT_OUT]
    if not good:
        lines = [line.removeprefix("warning: ") for line in lines]
        raise InputError(f"none of the {len(pairs)} pairs in {root} can be used; {'; '.join(lines)}; replace the files")
    return good, lines


def check_masks(pairs: Sequence[Pair]) -> list[str]:
    """Look at the values of some masks; say so when they hold nothing, everything, faint values or several labels."""
    sample = pairs[:: max(1, len(pairs) // SAMPLE)]
    lines = _values(sample) and _values(pairs)  # what holds for the sample is said only if it holds for all
    return lines + _labels(sample)


def _alpha(pair: Pair) -> UInt8:
    alpha = image.read_alpha(pair.image)
    if alpha is None:
        raise InputError(f"{pair.image} has no alpha to take the mask from; add a mask file")
    return alpha


def _verdict(pair: Pair) -> tuple[str, str]:
    """The kind of trouble ("" for none) and what to say of this pair."""
    try:
        picture = probe(pair.image)
        mask = picture if pair.mask == pair.image else probe(pair.mask)
    except InputError as error:
        return "broken", str(error).partition(";")[0]
    relation = _relation(picture.size, mask.size, picture.orientation)
    return relation, _unequal(pair, picture.size, mask.size)


def _relation(picture: tuple[int, ...], mask: tuple[int, ...], orientation: int) -> str:
    """How a mask's size relates to its upright picture's: "same", "resized", "turned" or "unequal"."""
    if picture == mask:
        return "same"
    if _same_aspect(picture, mask):
        return "resized"
    return "turned" if orientation >= 5 and _same_aspect(picture, mask[::-1]) else "unequal"


def _same_aspect(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    ratio = first[0] * second[1] / (first[1] * second[0])
    return abs(ratio - 1) <= ASPECT


def _unequal(pair: Pair, picture: tuple[int, ...], mask: tuple[int, ...]) -> str:
    return f"{pair.image.name} is {picture[1]}x{picture[0]} px, its mask {pair.mask.name} {mask[1]}x{mask[0]}"


def _mask(pair: Pair) -> UInt8 | None:
    try:
        return _alpha(pair) if pair.mask == pair.image else image.read_mask(pair.mask)
    except InputError:
        return None  # broken inside, where the header does not tell; met again, and counted, when it is loaded


def _values(pairs: Sequence[Pair]) -> list[str]:
    with ThreadPoolExecutor() as pool:
        ranges = [(int(mask.min()), int(mask.max())) for mask in pool.map(_mask, pairs) if mask is not None]
    lowest, highest = min((low for low, _ in ranges), default=0), max((high for _, high in ranges), default=255)
    if highest == 0:
        return [f"warning: all {len(ranges)} masks are empty (0 everywhere): there is no person to learn; check the masks"]
    if lowest == 255:
        return [f"warning: all {len(ranges)} masks are full (255 everywhere): there is no background to learn; check the masks"]
    if highest < 128:
        return [f"warning: no mask value reaches 128 (the brightest is {highest}), so all is background; the person must be 255 or 1"]
    return []


def _labels(pairs: Iterable[Pair]) -> list[str]:
    labels = {label for pair in pairs if pair.mask != pair.image for label in masks.person_labels(pair.mask)}
    if len(labels) < 2:
        return []
    return [f"warning: the palette masks have several labels, {listed(map(str, labels))}; each but 0 counts as the person"]
