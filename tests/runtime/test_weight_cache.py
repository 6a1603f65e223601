"""XNNPACK's weight cache: what comes out stays the same, whatever lies in the folder."""

from pathlib import Path

import numpy as np
import pytest

from portraitseg.cli.defaults import MODEL
from portraitseg.errors import InputError
from portraitseg.runtime import open_artifact

INT8, FLOAT = MODEL.with_name(MODEL.name.replace("fp16", "int8")), MODEL
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 256, 256, 3)).astype(np.uint8)


def test_two_models_share_a_folder_and_the_second_start_reads_what_the_first_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    written = {}
    for path in (INT8, FLOAT, INT8, FLOAT):
        cached, plain = open_artifact(path, weight_cache=folder), open_artifact(path)
        probs = [cached(picture) for picture in PICTURES]
        np.testing.assert_array_equal(probs, [plain(picture) for picture in PICTURES])
        assert np.abs(probs[0] - probs[1]).max() > 0.01
        (file,) = [file for file in folder.iterdir() if file not in written.values()] or [written[path]]
        assert written.setdefault(path, file) == file
        assert file.stat().st_size > 0.5 * path.stat().st_size
    assert set(folder.iterdir()) == set(written.values())


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: b"", lambda content: content[::-1]])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage) -> None:
    expected = open_artifact(FLOAT, weight_cache=tmp_path)(PICTURES[0])
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    np.testing.assert_array_equal(open_artifact(FLOAT, weight_cache=tmp_path)(PICTURES[0]), expected)


def test_what_cannot_have_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave --weight-cache out"):
        open_artifact(INT8, engine="mediapipe", weight_cache=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot keep XNNPACK's weights in .*file"):
        open_artifact(INT8, weight_cache=tmp_path / "file")
