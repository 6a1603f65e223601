"""Which picture belongs to which mask, told by the names of folders and files."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from portraitseg.data.headers import probe
from portraitseg.data.pairs import LAYOUTS, Found, Pair, split_of
from portraitseg.data.tables import is_table, read_table
from portraitseg.errors import InputError
from portraitseg.image import SUFFIXES

# fmt: off
IMAGES = (
    "images", "image", "imgs", "img", "photos", "photo", "pictures", "picture", "jpegimages", "original", "originals", "input", "inputs",
    "rgb", "clip_img", "blurred_image", "com", "fgr",
)
MASKS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "alpha", "alphas", "matte", "mattes", "matting", "pha", "seg",
    "segmentationclass", "segmentations", "segmentation", "gt", "ground_truth", "groundtruth", "target", "targets", "silhouettes",
    "masks_human",
)
# fmt: on
ENDINGS = tuple(f"{mark}{word}" for mark in "_-." for word in ("mask", "matte", "alpha", "seg", "label", "gt"))


def discover(root: Path) -> Found:
    """Find the pairs of a folder or a CSV file.

    Raises:
        InputError: `root` is missing, empty, or holds no pair in any layout that is understood.
    """
    if not root.exists():
        raise InputError(f"there is no {root}; give an existing folder with {LAYOUTS}")
    if root.is_file() and not is_table(root):
        raise InputError(f"{root} is neither a folder nor a CSV with the columns image and mask; give {LAYOUTS}")
    found = read_table(root) if root.is_file() else _folder(root)
    if not found.all():
        raise InputError(f"no picture with its mask in {root}: {_instead(root, found)}; allowed are {LAYOUTS}")
    return found


def _instead(root: Path, found: Found) -> str:
    """What `root` holds instead of pairs."""
    names = sorted(child.name for child in root.iterdir()) if root.is_dir() else []
    if not names and root.is_dir():
        return "the folder is empty"
    return "; ".join(line.removeprefix("warning: ") for line in found.left_out()) or f"it holds {', '.join(names[:5]) or 'no line'}"


def _folder(root: Path) -> Found:
    """Recognise the layout, the most explicit one first."""
    children = {child.name.lower(): child for child in sorted(root.iterdir()) if child.is_dir() and not _hidden(child.name)}
    images, masks = _first(children, IMAGES), _first(children, MASKS)
    if images and masks:
        return _split_below(_two_folders(images, masks))
    if any(split_of(name) for name in children):
        return _splits(children)
    table = next((path for path in sorted(root.iterdir()) if is_table(path)), None)
    if table:
        return read_table(table)
    if images:
        return _one_folder(images)
    if len(children) == 1 and not any(_is_picture(child) for child in root.iterdir()):  # the top folder of an archive
        return _folder(next(iter(children.values())))
    return _one_folder(root)


def _splits(children: dict[str, Path]) -> Found:
    """train/ and val/ (or test/), each with a layout of its own inside."""
    found = Found()
    for name, folder in children.items():
        if split := split_of(name):
            inside = _folder(folder)
            found.take(inside, split)
            if not inside.all():
                found.notes.append(f"warning: no picture with its mask in {folder}: {_instead(folder, inside)}")
    return found


def _first(children: dict[str, Path], names: Iterable[str]) -> Path | None:
    """The first folder of these names that holds a picture: VOC's Annotations/ and YOLO's labels/ hold text."""
    candidates = (children[name] for name in names if name in children)
    return next((folder for folder in candidates if any(_is_picture(path) for path in folder.rglob("*"))), None)


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not _hidden(path.name) and path.is_file()


def _pictures(folder: Path, found: Found) -> dict[str, Path]:
    """Every picture below `folder` by its relative path without suffix; doubles are noted in `found`."""
    out: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if not _is_picture(path) or any(_hidden(part) for part in inner.parts):
            continue
        if out.setdefault(inner.with_suffix("").as_posix(), path) != path:
            found.doubles.append(path.name)
    return out


def _bare(name: str) -> str:
    """The name without the ending that marks a mask."""
    ending = next((end for end in ENDINGS if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def _two_folders(images: Path, masks: Path) -> Found:
    found = Found()
    pictures, answers = _pictures(images, found), _pictures(masks, found)
    matches = _match(pictures, answers)
    found.pairs[""] = [Pair(name, path, answers[matches[name]]) for name, path in pictures.items() if name in matches]
    found.without_mask = [path.name for name, path in pictures.items() if name not in matches]
    found.without_image = [answers[name].name for name in set(answers) - set(matches.values())]
    return found


def _match(pictures: Iterable[str], answers: Iterable[str]) -> dict[str, str]:
    """Name of a picture -> name of its mask: equal, else but for the mask's ending, else by the file's own name where that is unique."""
    pictures, answers = set(pictures), set(answers)
    matches = {name: name for name in pictures & answers}
    for key in (_bare, lambda name: _bare(name.rpartition("/")[2])):
        free = _unique(answers - set(matches.values()), key)
        wanted = _unique(pictures - set(matches), key)
        matches |= {wanted[short]: free[short] for short in wanted if short in free}
    return matches


def _unique(names: Iterable[str], key: Callable[[str], str]) -> dict[str, str]:
    """Key -> name, for the keys that one name alone has."""
    names = list(names)
    counts = Counter(map(key, names))
    return {key(name): name for name in names if counts[key(name)] == 1}


def _one_folder(folder: Path) -> Found:
    """Pictures with suffixed masks beside them; a picture without one may hold its mask as alpha."""
    found = Found(pairs={"": []})
    files = _pictures(folder, found)
    masks: dict[str, Path] = {}
    for name, path in files.items():
        if _bare(name) != name and masks.setdefault(_bare(name), path) != path:
            found.doubles.append(path.name)
    found.without_image = [path.name for name, path in masks.items() if name not in files]
    for name, path in files.items():
        if _bare(name) != name:
            continue
        if name in masks or _has_alpha(path):
            found.pairs[""].append(Pair(name, path, masks.get(name, path)))
        else:
            found.without_mask.append(path.name)
    return found


def _has_alpha(path: Path) -> bool:
    try:
        return probe(path).alpha
    except InputError:
        return False


def _split_below(found: Found) -> Found:
    """images/train/x with masks/train/x: the splits lie below, if every pair lies in one."""
    splits: dict[str, list[Pair]] = {}
    for pair in found.all():
        splits.setdefault(split_of(pair.name.partition("/")[0]), []).append(pair)
    if "" not in splits:
        found.pairs = splits
    return found
