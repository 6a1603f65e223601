"""CSV files as spreadsheets and scripts write them."""

from pathlib import Path

import pytest

from portraitseg.data.tables import is_table, read_table
from portraitseg.errors import InputError


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A CSV beside the files p/1.jpg, p/2.jpg, m/1.png and m/2.png."""
    for name in ("p/1.jpg", "p/2.jpg", "m/1.png", "m/2.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "pairs.csv").write_text(text, encoding=encoding)
    return folder / "pairs.csv"


@pytest.mark.parametrize(
    "text",
    [
        "image,mask\np/1.jpg,m/1.png\np/2.jpg,m/2.png\n",
        "id,Mask,Image,note\n7,m/1.png,p/1.jpg,\n8,m/2.png,p/2.jpg,x\n",
        "image_path;mask_path\r\np/1.jpg;m/1.png\r\np/2.jpg;m/2.png\r\n",
        'filename\tlabel\n"p/1.jpg"\tm/1.png\np\\2.jpg\tm\\2.png\n',
    ],
)
def test_columns_delimiters_and_spellings(tmp_path: Path, text: str) -> None:
    found = read_table(table(tmp_path, text))
    assert [(pair.name, pair.image, pair.mask) for pair in found.all()] == [
        ("p/1", tmp_path / "p/1.jpg", tmp_path / "m/1.png"),
        ("p/2", tmp_path / "p/2.jpg", tmp_path / "m/2.png"),
    ]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert len(read_table(table(tmp_path, "image,mask\np/1.jpg,m/1.png\n", "utf-8-sig")).all()) == 1


def test_absolute_paths(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, f"image,mask\n{tmp_path}/p/1.jpg,{tmp_path}/m/1.png\n"))
    assert found.all()[0].image == tmp_path / "p/1.jpg"


def test_a_split_column_is_honoured(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "image,mask,split\np/1.jpg,m/1.png,train\np/2.jpg,m/2.png,Valid\n"))
    assert {split: [pair.name for pair in pairs] for split, pairs in found.pairs.items()} == {"train": ["p/1"], "val": ["p/2"]}


def test_missing_files_and_cells_are_told(tmp_path: Path) -> None:
    found = read_table(table(tmp_path, "image,mask\np/1.jpg,m/none.png\np/none.jpg,m/2.png\np/2.jpg\n,\n"))
    assert found.all() == []
    assert found.without_mask == ["p/1.jpg", "p/2.jpg"]
    assert found.without_image == ["m/2.png", "a line without names"]


def test_a_table_of_something_else_is_none(tmp_path: Path) -> None:
    path = table(tmp_path, "name,age\nAda,36\n")
    assert not is_table(path)
    with pytest.raises(InputError, match="first line must name the columns"):
        read_table(path)


def test_bytes_that_are_no_text_end_in_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"image,mask\n" + b'"' + b"x" * 200_000)  # a cell beyond the csv module's limit
    with pytest.raises(InputError, match="is no CSV"):
        read_table(path)
