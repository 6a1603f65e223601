"""The arrays of an HDF5 file (.h5), read in a process of its own: there are files on which the HDF5 library crashes or never returns."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from portraitseg import elsewhere
from portraitseg.errors import InputError

MOST = 2**30
"""Of all arrays together, in bytes."""
CHILD = f"""
import json
import h5py
import numpy

names, arrays, groups, total = [], [], {{}}, 0

def collect(name, item):
    global total
    if isinstance(item, h5py.Group):
        if "weight_names" in item.attrs:
            groups[name] = [key.decode() if isinstance(key, bytes) else str(key) for key in item.attrs["weight_names"]]
    elif item.dtype.kind in "fiu" and not item.external and not item.is_virtual:
        total += item.nbytes
        if total > {MOST}:
            raise ValueError(f"its arrays have more than {MOST >> 20} MB")
        names.append(name)
        arrays.append(item[()])

with h5py.File(sys.argv[1], "r") as file:
    file.visititems(collect)  # which follows no links to other files
numpy.savez(sys.argv[2] + "/arrays.npz", *arrays)
with open(sys.argv[2] + "/names.json", "w") as file:
    json.dump([names, groups], file)
"""


@dataclass(frozen=True, kw_only=True)
class Hdf5:
    """What is used of a file; whatever else it holds is not looked at."""

    arrays: dict[str, npt.NDArray[Any]]
    """Path in the file -> array, of all arrays of numbers."""
    groups: dict[str, list[str]]
    """Path of a group -> what Keras has listed in it, in the attribute "weight_names": paths from there."""


def read(path: Path) -> Hdf5:
    """Read all arrays of numbers; takes about 0.3 s.

    Raises:
        InputError: the file is not whole, not HDF5, too large, or one that the HDF5 library does not survive.
    """
    with tempfile.TemporaryDirectory(prefix="portraitseg-") as folder:
        complaint = elsewhere.run(CHILD, path, folder)
        if complaint:
            raise InputError(f"{path} is not a whole HDF5 file of weights ({complaint}); copy it again or make it again")
        names, groups = json.loads((Path(folder) / "names.json").read_text())
        with np.load(Path(folder) / "arrays.npz", allow_pickle=False) as arrays:
            return Hdf5(arrays={name: arrays[f"arr_{index}"] for index, name in enumerate(names)}, groups=groups)
