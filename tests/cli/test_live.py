import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from portraitseg import image as pictures
from portraitseg.cli import main

av = pytest.importorskip("av")
SMALL = "synthetic:160x90@30:"


def live(*arguments: str) -> int:
    return main("live", ["--threads", "1", *arguments])


def frames_of(path: Path) -> list[tuple[float, np.ndarray]]:
    """Time and RGB of every frame, by FFmpeg."""
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_a_file_has_every_frame_at_its_time_with_the_background_behind(tmp_path, capsys):
    out = tmp_path / "out.mp4"
    report = tmp_path / "report.json"
    assert live("--source", f"{SMALL}20", "--sink", "file", "--out", str(out), "--background", "lime", "--report", str(report)) == 0
    frames = frames_of(out)
    assert np.allclose([time for time, _ in frames], np.arange(20) / 30, atol=1e-3)
    assert all(np.abs(image[:8, :8].astype(int) - (0, 255, 0)).max() < 12 for _, image in frames)  # a corner
    middle = np.stack([image[60:85, 60:100] for _, image in frames])  # the body
    assert (np.abs(middle.astype(int) - (0, 255, 0)).max(-1) > 100).mean() > 0.5
    told = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert (told["frames"], told["dropped"]) == (20, 0) and told == json.loads(report.read_text())
    assert set(told["stages_ms"]) == {"capture", "inference", "compose", "sink"}
    assert {path.name for path in tmp_path.iterdir()} == {"out.mp4", "report.json"}


def test_pictures_come_out_as_pictures_and_transparent_ones_keep_the_person(tmp_path):
    assert live("--source", f"{SMALL}3", "--sink", "pictures", "--out", str(tmp_path / "p"), "--transparent") == 0
    alpha = pictures.read_alpha(tmp_path / "p" / "000001.png")
    assert alpha is not None and alpha.shape == (90, 160) and alpha[75, 80] > 200 and alpha[:8, :8].max() < 30


def test_raw_frames_leave_standard_output_to_the_pixels():
    command = [sys.executable, "-m", "portraitseg.cli", "live", "--source", f"{SMALL}4", "--sink", "raw", "--background", "red"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert len(done.stdout) == 4 * 160 * 90 * 3
    assert np.frombuffer(done.stdout, np.uint8).reshape(4, 90, 160, 3)[:, 0, 0].tolist() == [[255, 0, 0]] * 4
    assert json.loads(done.stderr.decode().strip().splitlines()[-1])["frames"] == 4


def interrupted(command: list[str], folder: Path, number: int) -> tuple[int, str]:
    """Send a signal when the second file lies in the folder; the exit code, and what was said."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (folder.is_dir() and len(list(folder.iterdir())) >= 2) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        told = process.communicate(timeout=60)[1].decode()
    return process.returncode, told


def test_an_interrupted_file_is_resumed_to_what_an_uninterrupted_run_gives(tmp_path):
    out, whole = tmp_path / "out.mp4", tmp_path / "whole.mp4"
    settings = ["--source", f"{SMALL}320", "--sink", "file", "--background", "lime", "--smoothing", "none", "--no-edges"]
    command = [sys.executable, "-m", "portraitseg.cli", "live", *settings, "--out", str(out)]
    parts = tmp_path / "out.mp4.parts"
    code, told = interrupted(command, parts, signal.SIGINT)
    assert code == 130 and "--resume" in told and "Traceback" not in told
    assert not out.exists() and parts.is_dir()
    assert live(*settings, "--out", str(out)) == 2  # neither --resume nor --force
    assert live(*settings, "--out", str(out), "--resume") == 0
    assert live(*settings, "--out", str(whole)) == 0
    resumed, once = frames_of(out), frames_of(whole)
    assert not parts.exists() and len(resumed) == len(once) == 320
    assert np.allclose([time for time, _ in resumed], [time for time, _ in once], atol=1e-3)
    assert max(np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(resumed[::20], once[::20], strict=True)) < 3


def test_terminated_it_leaves_whole_pictures(tmp_path):
    settings = ["--source", f"{SMALL}100000", "--sink", "pictures", "--out", str(tmp_path / "p"), "--no-edges"]
    code, told = interrupted([sys.executable, "-m", "portraitseg.cli", "live", *settings], tmp_path / "p", signal.SIGTERM)
    assert code == 130 and "--resume" in told
    names = sorted(path.name for path in (tmp_path / "p").glob("*.png"))
    assert names == [f"{number:06d}.png" for number in range(len(names))] and len(names) >= 1
    assert all(pictures.read(tmp_path / "p" / name).shape == (90, 160, 3) for name in names)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--source", "nothing.mp4"], "there is no nothing.mp4"),
        (["--source", f"{SMALL}3", "--model", "none.tflite"], "no model none.tflite"),
        (["--source", f"{SMALL}3", "--background", "nowhere.png"], "no such file"),
        (["--source", f"{SMALL}3", "--size", "big"], "size must be WIDTHxHEIGHT"),
        (["--source", f"{SMALL}3", "--threshold", "2"], "threshold must be from"),
        (["--source", f"{SMALL}3", "--sink", "file", "--out", "x.gif"], ".gif"),
        (["--source", f"{SMALL}3", "--sink", "stream", "--out", "ftp://x"], "rtmp"),
        (["--source", f"{SMALL}3", "--sink", "camera", "--transparent"], "no transparency"),
        (["--source", f"{SMALL}3", "--harmonizer", "none.tflite"], "none.tflite"),
        (["--source", f"{SMALL}3", "--smoothing-strength", "7"], "smoothing"),
    ],
)
def test_what_cannot_be_used_is_one_line(wrong, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert live("--sink", "null", *wrong) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert told[-1].startswith("error: ") and said in told[-1]
    assert list(tmp_path.iterdir()) == []


def test_without_a_display_there_is_one_line_with_the_remedy(tmp_path):
    nothing = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "portraitseg.cli", "live", "--source", f"{SMALL}3"]
    done = subprocess.run(command, capture_output=True, env=nothing, cwd=tmp_path, check=False, timeout=60)
    told = done.stderr.decode().strip().splitlines()
    assert done.returncode == 2 and told[-1].startswith("error: no window can be opened") and "--sink file" in told[-1]
