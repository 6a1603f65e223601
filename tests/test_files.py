"""Files appear whole or not at all."""

import errno
import os

import pytest

from portraitseg.errors import InputError
from portraitseg.files import atomic, refuse_existing


def test_whole(tmp_path):
    with atomic(tmp_path / "new" / "a.txt") as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("x")
    assert (tmp_path / "new" / "a.txt").read_text() == "x"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
        assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


@pytest.mark.parametrize("error", [RuntimeError("fault"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_no_other(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(type(error)), atomic(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_full_disk_is_said_plainly(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*a\.txt.*free some space"), atomic(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"), atomic(tmp_path / "file" / "a.txt"):
        pass


def test_existing_needs_force(tmp_path):
    path = tmp_path / "a.txt"
    refuse_existing(path, force=False)
    path.write_text("x")
    with pytest.raises(InputError, match="--force"):
        refuse_existing(path, force=False)
    refuse_existing(path, force=True)
