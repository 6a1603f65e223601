from dataclasses import dataclass
from pathlib import Path

from portraitseg.command_line import command_line, without_folder


@dataclass(frozen=True, kw_only=True)
class Settings:
    size: int | None = None
    phases: str = "a"
    data: Path | None = None
    teachers: tuple[Path, ...] = ()
    quick: bool = False
    bn_momentum: float = 0.9


def test_only_what_differs_and_no_folders():
    settings = Settings(phases="", data=Path("/data/my set"), teachers=(Path("/a/b.h5"), Path("c.tflite")), quick=True, bn_momentum=0.99)
    line = command_line("run", settings, Settings(), without=("bn_momentum",))
    assert line == "run --phases '' --data 'my set' --teachers b.h5 c.tflite --quick"
    assert command_line("run", Settings(), Settings()) == "run"
    assert command_line("run", Settings(), settings).split()[:4] == ["run", "--phases", "a", "--data"]


def test_texts_and_numbers_stay():
    assert [without_folder(value) for value in ("a/b", Path("/x/y"), ["/x/y", "z"])] == ["b", "y", ["y", "z"]]
    assert [without_folder(value) for value in (3, None, "bce=1")] == [3, None, "bce=1"]
