"""The window on a display of its own: keys are sent, and the screen is looked at."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

NEEDED = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"needs {' and '.join(NEEDED)}: apt install xvfb xdotool")
LIME, RED = (0, 255, 0), (255, 0, 0)


class Screen:
    """An X server that draws into a file."""

    def __init__(self, folder: Path) -> None:
        reading, writing = os.pipe()
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x700x24", "-fbdir", str(folder)]
        self.server = subprocess.Popen(command, pass_fds=(writing,), stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        self.environment = {**os.environ, "DISPLAY": f":{number}"}
        self._file = folder / "Xvfb_screen0"

    def pixels(self) -> np.ndarray:
        """RGB (700,800,3): an X window dump, whose header is of big-endian words."""
        data = self._file.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        start = int(header[0] + 12 * header[19])
        rows = np.frombuffer(data, np.uint8, int(header[5] * header[12]), start).reshape(header[5], header[12])
        return rows[:, : 4 * header[4]].reshape(header[5], header[4], 4)[..., 2::-1]

    def xdotool(self, *words: str) -> str:
        return (
            subprocess.run(["xdotool", *words], env=self.environment, capture_output=True, check=True, timeout=60).stdout.decode().strip()
        )

    def wait(self, condition, what: str) -> None:
        """Until a condition on the pixels holds."""
        deadline = time.monotonic() + 30
        while not condition(self.pixels()):
            assert time.monotonic() < deadline, f"never seen: {what}"
            time.sleep(0.05)


@contextmanager
def shown(tmp_path: Path, *arguments: str) -> Iterator[tuple[Screen, str, subprocess.Popen]]:
    """A screen with the window on it, its number, and the process."""
    (tmp_path / "screen").mkdir()
    screen = Screen(tmp_path / "screen")
    command = [sys.executable, "-m", "portraitseg.cli", "live", "--source", "synthetic:320x180@30:9000", "--threads", "1", *arguments]
    process = subprocess.Popen(command, env=screen.environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        window = screen.xdotool("search", "--sync", "--name", "portraitseg").splitlines()[-1]
        screen.xdotool("windowfocus", window)
        yield screen, window, process
    finally:
        process.kill()
        process.communicate()
        screen.server.terminate()
        screen.server.wait(10)


def is_shown(colour: tuple[int, int, int]):
    """Whether a fifth of the screen's upper part is nearly of that colour."""
    return lambda pixels: (np.abs(pixels[:180, :320].astype(int) - colour).max(-1) < 12).mean() > 0.2


def test_keys_change_the_picture_and_q_ends_it(tmp_path):
    with shown(tmp_path, "--background", "lime", "red", "--no-edges") as (screen, window, process):
        screen.wait(is_shown(LIME), "the first background")
        screen.xdotool("key", "--window", window, "b")
        screen.wait(is_shown(RED), "the second background after B")
        screen.xdotool("key", "--window", window, "question")
        screen.wait(lambda pixels: (pixels[:170, :10].max(-1) < 100).mean() > 0.5, "the darkened corner of the help")
        screen.xdotool("key", "--window", window, "question")
        screen.wait(is_shown(RED), "the picture without help")
        screen.xdotool("key", "--window", window, "space")
        time.sleep(0.5)
        still = screen.pixels().copy()
        time.sleep(0.5)
        assert (screen.pixels() == still).all()  # the drawn person moves; paused, he does not
        screen.xdotool("key", "--window", window, "space")
        screen.wait(lambda pixels: (pixels != still).any(), "the person moving on")
        screen.xdotool("key", "--window", window, "r")
        time.sleep(1)
        screen.xdotool("key", "--window", window, "r")
        screen.xdotool("key", "--window", window, "q")
        out, told = process.communicate(timeout=30)
    assert process.returncode == 0 and b'"frames"' in out and b"Traceback" not in told
    (recorded,) = (tmp_path / "runs" / "live").glob("*.mp4")
    av = pytest.importorskip("av")
    with av.open(str(recorded)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) >= 3 and (np.abs(frames[0][:8, :8].astype(int) - RED).max(-1) < 40).all()
