"""Sinks: video files that survive whatever happens, pictures, virtual cameras, raw frames."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live.frames import Frame
from portraitseg.live.sinks import KINDS, encoder, open_sink, video
from portraitseg.live.sinks.raw import Raw
from portraitseg.live.sources import open_source
from tests.live import clips


def frame(index: int, time: float | None = None, *, size=(48, 64)) -> Frame:
    return Frame(image=clips.numbered(index, size), time=index / 25 if time is None else time, index=index)


def record(out: Path, frames, *, fps=25.0, finish=True, **options):
    sink = open_sink("file", str(out), fps=fps, **options)
    for each in frames:
        sink.write(each, each.image)
    sink.finish() if finish else sink.close()
    return sink


def played(path: Path) -> tuple[list[int], list[float]]:
    """The numbers and times of all frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [clips.number(each.to_ndarray(format="rgb24")) for each in frames], [float(each.pts * each.time_base) for each in frames]


def refused(*words, **options) -> str:
    with pytest.raises(InputError) as error:
        open_sink(*words, **{"fps": 25, **options})
    assert "\n" not in str(error.value)
    return str(error.value)


# Video files


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_a_video_has_all_frames_at_their_times(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 9)
    out = tmp_path / f"out{suffix}"
    record(out, [frame(index) for index in range(40)])
    numbers, times = played(out)
    assert numbers == list(range(40))
    np.testing.assert_allclose(times, np.arange(40) / 25, atol=1e-6 if suffix in (".mp4", ".mov") else 5e-4)
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == ("vp9" if suffix == ".webm" else "h264")
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(25, rel=0.01)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_opencv_sees_the_colours_that_were_written(tmp_path):
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[:, :16], colours[:, 16:32], colours[:, 32:48], colours[:, 48:] = (200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 20)
    record(tmp_path / "out.mp4", [Frame(image=colours, time=0.0, index=0)], crf=5)
    raw = tmp_path / "raw.rgb"
    clips.run("-i", str(tmp_path / "out.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", str(raw))
    read = np.frombuffer(raw.read_bytes(), np.uint8).reshape(48, 64, 3)
    for column in (8, 24, 40, 56):
        np.testing.assert_allclose(read[24, column], colours[24, column], atol=4)
    assert "bt709" in clips.told("-i", str(tmp_path / "out.mp4"))


def test_a_variable_frame_rate_is_kept(tmp_path):
    times = [0.0, 0.04, 0.09, 0.1, 0.35, 1.0]
    record(tmp_path / "out.mp4", [frame(index, time) for index, time in enumerate(times)])
    assert played(tmp_path / "out.mp4")[1] == pytest.approx(times, abs=1e-4)


def test_times_that_do_not_go_on_are_moved_by_a_tick(tmp_path):
    record(tmp_path / "out.mp4", [frame(0, 5.0), frame(1, 5.0), frame(2, 5.1)])
    assert played(tmp_path / "out.mp4")[1] == pytest.approx([0, 1 / 90_000, 0.1], abs=1e-6)


@pytest.mark.parametrize(("size", "expected"), [((47, 63), (48, 64)), ((1, 1), (2, 2)), ((48, 63), (48, 64))])
def test_odd_sizes_grow_by_one_pixel(tmp_path, size, expected):
    image = np.full((*size, 3), 120, np.uint8)
    record(tmp_path / "out.mp4", [Frame(image=image, time=0.0, index=0)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        (read,) = container.decode(video=0)
        assert (read.height, read.width) == expected
        assert abs(int(read.to_ndarray(format="rgb24")[-1, -1, 0]) - 120) <= 3  # repeated, not black


@pytest.mark.parametrize(("suffix", "transparent"), [(".webm", False), (".webm", True), (".mov", True)])
def test_a_single_pixel_is_a_video_too(tmp_path, suffix, transparent):
    image = np.full((1, 1, 4 if transparent else 3), 120, np.uint8)
    record(tmp_path / f"out{suffix}", [Frame(image=image, time=index / 25, index=index) for index in range(3)], transparent=transparent)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert [each.width for each in container.decode(video=0)] == [2, 2, 2]


def test_a_size_that_the_codec_refuses_is_said_in_a_line(tmp_path):
    sink = open_sink("file", str(tmp_path / "out.mp4"), fps=25)
    image = np.zeros((2, 40_000, 3), np.uint8)
    with pytest.raises(InputError, match="cannot write") as error:
        sink.write(Frame(image=image, time=0.0, index=0), image)
    assert "\n" not in str(error.value)
    sink.close()


def test_another_size_is_letterboxed_into_the_first(tmp_path):
    white = np.full((20, 60, 3), 255, np.uint8)
    record(tmp_path / "out.mp4", [frame(0), Frame(image=white, time=0.04, index=1)], crf=5)
    with av.open(str(tmp_path / "out.mp4")) as container:
        last = list(container.decode(video=0))[-1].to_ndarray(format="rgb24")
    assert last.shape == (48, 64, 3)  # 60x20 becomes 64x21, from row 13
    assert last[15:32].min() > 235
    assert last[:11].max() < 20
    assert last[36:].max() < 20


def tone(tmp_path, *coded, suffix=".mp4", count=75, before=(), pitch=440) -> Path:
    """A numbered clip of 3 s with a tone."""
    sound = ["-f", "lavfi", "-i", f"sine=f={pitch}:r=44100:d={count / 25}"]
    return clips.write(tmp_path / f"source{suffix}", count, sound=sound, coded=[*clips.H264, *coded], before=before)


def packets(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in container.demux(stream) if packet.pts is not None]


def heard(path: Path) -> tuple[np.ndarray, int]:
    with av.open(str(path)) as container:
        parts = [part.to_ndarray()[0] for part in container.decode(audio=0)]
        return np.concatenate(parts).astype(float), container.streams.audio[0].rate


def pitch(path: Path) -> float:
    wave, rate = heard(path)
    spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
    return spectrum.argmax() * rate / len(wave)


@pytest.mark.parametrize(("codec", "suffix"), [("aac", ".mp4"), ("aac", ".mkv"), ("aac", ".mov"), ("libopus", ".mp4"), ("flac", ".mkv")])
def test_sound_that_the_container_can_hold_is_copied(tmp_path, codec, suffix):
    source = tone(tmp_path, "-c:a", codec, suffix=".mkv")
    out = tmp_path / f"out{suffix}"
    record(out, open_source(str(source)), source=source)
    before, after = packets(source), packets(out)
    kept = [data for time, data in before if time >= 0]
    assert [data for _, data in after] == kept[: len(after)]
    assert len(kept) - len(after) <= 2  # what begins after the last picture
    assert after[10][0] == pytest.approx([time for time, _ in before if time >= 0][10], abs=2e-3)
    assert played(out)[0] == [index % 256 for index in range(75)]


def test_plain_samples_are_copied_too(tmp_path):
    source = tone(tmp_path, "-c:a", "pcm_s16le", suffix=".mkv")
    record(tmp_path / "out.mov", open_source(str(source)), source=source)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.audio[0].codec_context.name == "pcm_s16le"
    before, after = heard(source)[0], heard(tmp_path / "out.mov")[0]
    assert len(before) - len(after) < 4096
    np.testing.assert_array_equal(after.ravel(), before.ravel()[: after.size])


@pytest.mark.parametrize(("codec", "suffix", "becomes"), [("wmav2", ".mp4", "aac"), ("aac", ".webm", "opus")])
def test_other_sound_is_coded_again(tmp_path, codec, suffix, becomes):
    source = tone(tmp_path, "-c:a", codec, suffix=".mkv")
    out = tmp_path / f"out{suffix}"
    record(out, open_source(str(source)), source=source)
    with av.open(str(out)) as container:
        assert container.streams.audio[0].codec_context.name == becomes
    assert pitch(out) == pytest.approx(440, abs=2)
    wave, rate = heard(out)
    assert len(wave) / rate == pytest.approx(3, abs=0.1)


def test_sound_stays_with_its_pictures(tmp_path):
    """The tone begins with frame 25 of a source whose clock starts at 10 s."""
    sound = ["-f", "lavfi", "-i", "sine=f=440:r=44100:d=3,volume='gte(t,1)':eval=frame"]
    plain = clips.write(tmp_path / "plain.mkv", 75, sound=sound, coded=[*clips.H264, "-c:a", "aac"])
    source = tmp_path / "late.mkv"
    clips.run("-i", str(plain), "-c", "copy", "-output_ts_offset", "10", str(source))
    record(tmp_path / "out.mp4", open_source(str(source)), source=source)
    wave, rate = heard(tmp_path / "out.mp4")
    loud = np.abs(wave) > np.abs(wave).max() / 4
    assert loud.argmax() / rate == pytest.approx(1, abs=0.05)
    assert played(tmp_path / "out.mp4")[1][0] == 0


def test_a_shorter_run_cuts_the_sound_too(tmp_path):
    source = tone(tmp_path, "-c:a", "aac")
    record(tmp_path / "out.mp4", list(open_source(str(source)))[:25], source=source)
    wave, rate = heard(tmp_path / "out.mp4")
    assert len(wave) / rate == pytest.approx(1, abs=0.05)


def test_sound_that_cannot_be_kept_is_left_out_with_a_word(tmp_path):
    source, told = tone(tmp_path, "-c:a", "aac"), []
    broken = tmp_path / "text.mp4"
    broken.write_text("no video any more")
    record(tmp_path / "out.mp4", open_source(str(source)), source=broken, notice=told.append)
    assert played(tmp_path / "out.mp4")[0] == list(range(75))
    assert len(told) == 1
    assert "sound" in told[0]


def test_a_source_without_sound_gives_a_video_without(tmp_path):
    source = clips.write(tmp_path / "source.mp4", 10)
    record(tmp_path / "out.mp4", open_source(str(source)), source=source)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_transparency_is_kept(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 4)
    out = tmp_path / f"out{suffix}"
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None] * 4, 48, axis=0)
    image = np.dstack([np.full((48, 64, 3), (200, 40, 60), np.uint8), ramp])
    record(out, [Frame(image=image, time=index / 25, index=index) for index in range(10)], transparent=True, crf=None)
    decoder = ["-c:v", "libvpx-vp9"] if suffix == ".webm" else []
    clips.run(*decoder, "-i", str(out), "-f", "rawvideo", "-pix_fmt", "rgba", str(tmp_path / "raw.rgba"))
    read = np.frombuffer((tmp_path / "raw.rgba").read_bytes(), np.uint8).reshape(-1, 48, 64, 4)
    assert len(read) == 10
    assert suffix != ".webm" or b"\x53\xc0\x81\x01" in out.read_bytes()  # Matroska's AlphaMode, by which browsers know
    np.testing.assert_allclose(read[..., 3].astype(int), np.broadcast_to(ramp, (10, 48, 64)), atol=10)
    np.testing.assert_allclose(read[-1, 20, 40, :3], (200, 40, 60), atol=8)


# Interrupted, killed, refused


def interrupted(out: Path, frames: int, **options) -> Path:
    record(out, [frame(index) for index in range(frames)], finish=False, **options)
    assert not out.exists()
    return out.with_name(f"{out.name}.parts")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_resumed_run_gives_what_an_uninterrupted_one_would(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 8)
    source = tone(tmp_path, "-c:a", "aac")
    whole, halves = tmp_path / f"whole{suffix}", tmp_path / f"halves{suffix}"
    record(whole, open_source(str(source)), source=source)

    first = open_sink("file", str(halves), fps=25, source=source)
    for each in open_source(str(source)):
        first.write(each, each.image)
        if each.index == 29:
            break
    first.close()
    assert not halves.exists()
    second = open_sink("file", str(halves), fps=25, source=source, resume=True)
    assert second.done.index == 29
    for each in open_source(str(source), after=second.done):
        second.write(each, each.image)
    second.finish()

    assert played(halves) == played(whole)
    assert packets(halves) == packets(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, whole.name, halves.name])


def test_a_run_that_had_recorded_all_only_needs_its_end(tmp_path):
    interrupted(tmp_path / "out.mp4", 12)
    open_sink("file", str(tmp_path / "out.mp4"), fps=25, resume=True).finish()
    assert played(tmp_path / "out.mp4")[0] == list(range(12))


def test_closed_parts_can_be_played_each(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 5)
    folder = interrupted(tmp_path / "out.mp4", 12)
    assert [played(folder / f"000{part}.mp4")[0] for part in range(3)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]
    note = json.loads((folder / "parts.json").read_text())
    assert [part["frames"] for part in note["parts"]] == [5, 5, 2]
    assert note["last"]["index"] == 11


def child(script: str, *words: object) -> subprocess.CompletedProcess:
    """Run a script in a process of its own, which may die."""
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", script, *map(str, words)], cwd=root, capture_output=True, text=True, check=False)


def test_ctrl_c_within_a_write_costs_the_open_part_only(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "FRAMES", 5)
    sink = open_sink("file", str(tmp_path / "out.mp4"), fps=25)
    for index in range(12):
        sink.write(frame(index), frame(index).image)
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs with SIGINT ignored
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(encoder.Encoder, "write", lambda *_: signal.raise_signal(signal.SIGINT))
        sink.write(frame(12), frame(12).image)
    signal.signal(signal.SIGINT, ignored)
    sink.close()
    sink = open_sink("file", str(tmp_path / "out.mp4"), fps=25, resume=True)
    assert sink.done.index == 9
    for index in range(10, 20):
        sink.write(frame(index), frame(index).image)
    sink.finish()
    assert played(tmp_path / "out.mp4")[0] == list(range(20))


KILLED = """
import os, signal, sys
from portraitseg.live.sinks import open_sink, video
from tests.live.test_sinks import frame
video.FRAMES = int(sys.argv[2])
sink = open_sink("file", sys.argv[1], fps=25, preset="ultrafast")
for index in range(200):
    sink.write(frame(index), frame(index).image)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_killed_process_leaves_what_can_be_played_and_resumed(tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    assert child(KILLED, out, 70).returncode == -signal.SIGKILL
    assert not out.exists()
    folder = out.with_name(f"{out.name}.parts")
    assert len(played(folder / f"0001{suffix}")[0]) == 70
    sink = open_sink("file", str(out), fps=25, preset="ultrafast", resume=True)
    assert sink.done.index == 139  # of the third part, which was open, nothing counts
    for index in range(140, 210):
        sink.write(frame(index), frame(index).image)
    sink.finish()
    assert played(out)[0] == list(range(210))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_even_the_open_part_can_be_played_after_a_kill(tmp_path, suffix):
    assert child(KILLED, tmp_path / f"out{suffix}", 400).returncode == -signal.SIGKILL
    numbers = played(tmp_path / f"out{suffix}.parts" / f"0000{suffix}")[0]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 120  # of 200: what is missing is in the encoder's look-ahead and in the last second


FULL = """
import resource, sys
import numpy as np
from portraitseg.errors import InputError
from portraitseg.live.frames import Frame
from portraitseg.live.sinks import open_sink, video
video.FRAMES = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
sink = open_sink("file", sys.argv[1], fps=25, preset="ultrafast", resume=True)
noise = np.random.default_rng(0)
try:
    for index in range(sink.done.index + 1 if sink.done else 0, 400):
        image = noise.integers(0, 255, (48, 64, 3), np.uint8)
        sink.write(Frame(image=image, time=index / 25, index=index), image)
    sink.finish()
except InputError as error:
    print(error)
    sink.close()
"""


def full(out: Path, part: int, limit: int) -> str:
    """Record noise where a file may have `limit` bytes; what was said of it."""
    done = child(FULL, out, part, limit)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_no_room_while_recording_leaves_what_can_be_played(tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    told = full(out, 1000, 400_000)
    assert told.count("\n") == 1
    assert str(out) in told
    assert ".parts" in told
    assert "--resume" in told
    assert not out.exists()
    capture, frames = cv2.VideoCapture(str(tmp_path / f"out{suffix}.parts" / f"0000{suffix}")), 0
    while capture.read()[0]:
        frames += 1
    kept = int(re.search(r"about (\d+) frames", told)[1])
    assert 100 < kept < 400
    assert frames >= kept - 60  # those in the encoder's look-ahead and in the last second


def test_no_room_for_the_whole_leaves_the_parts_to_be_joined_later(tmp_path):
    out = tmp_path / "out.mkv"
    told = full(out, 20, 400_000)
    assert told.count("\n") == 1
    assert "all 400 frames" in told
    assert not out.exists()
    assert full(out, 20, 1 << 30) == ""
    with av.open(str(out)) as container:
        assert len(list(container.decode(video=0))) == 400


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_that_ffmpeg_closed_without_its_end_is_noticed(tmp_path, suffix):
    path = tmp_path / f"part{suffix}"
    coder = encoder.Encoder(path, encoder.recipe(suffix, transparent=False, crf=None, preset="ultrafast"), size=(48, 64), fps=25)
    for index in range(60):
        coder.write(clips.numbered(index), round(index / 25 * coder._recipe.base))
    coder.close()
    encoder.read_back(path, 60)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(OSError, match="of 60 frames can be read back"):
        encoder.read_back(path, 60)


def test_nothing_is_overwritten_unasked(tmp_path):
    out = tmp_path / "out.mp4"
    out.write_bytes(b"dear to someone")
    assert "--force" in refused("file", str(out))
    assert out.read_bytes() == b"dear to someone"
    record(out, [frame(index) for index in range(3)], force=True)
    assert played(out)[0] == [0, 1, 2]

    interrupted(tmp_path / "other.mp4", 7)
    told = refused("file", str(tmp_path / "other.mp4"))
    assert "7 frames" in told
    assert "--resume" in told
    assert "preset" in refused("file", str(tmp_path / "other.mp4"), resume=True, preset="fast")
    assert "crf" in refused("file", str(tmp_path / "other.mp4"), resume=True, crf=3)
    record(tmp_path / "other.mp4", [frame(5), frame(6)], force=True)
    assert played(tmp_path / "other.mp4")[0] == [5, 6]


def test_a_frame_that_was_recorded_already_is_a_fault(tmp_path):
    interrupted(tmp_path / "out.mp4", 7)
    sink = open_sink("file", str(tmp_path / "out.mp4"), fps=25, resume=True)
    with pytest.raises(ValueError, match="frame 6 comes after frame 6"):
        sink.write(frame(6), frame(6).image)


def test_a_damaged_folder_of_parts_is_refused(tmp_path):
    folder = interrupted(tmp_path / "out.mp4", 7)
    (folder / "0000.mp4").unlink()
    assert "lacks 0000.mp4" in refused("file", str(tmp_path / "out.mp4"), resume=True)
    (folder / "parts.json").write_text("{}")
    assert "cannot be read" in refused("file", str(tmp_path / "out.mp4"), resume=True)


def test_a_run_without_frames_leaves_nothing(tmp_path):
    sink = open_sink("file", str(tmp_path / "out.mp4"), fps=25)
    with pytest.raises(InputError, match="no frame came"):
        sink.finish()
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_and_writing_after_it_do_nothing(tmp_path):
    sink = record(tmp_path / "out.mp4", [frame(0)])
    sink.close()
    sink.write(frame(1), frame(1).image)
    assert played(tmp_path / "out.mp4")[0] == [0]


@pytest.mark.parametrize(
    ("out", "options", "word"),
    [
        ("a.avi", {}, ".webm"),
        ("a", {}, "no suffix"),
        ("a.mp4", {"transparent": True}, "no transparency"),
        ("a.mp4", {"crf": 52}, "crf"),
        ("a.mp4", {"preset": "fastest"}, "ultrafast"),
        ("/proc/nowhere/a.mp4", {}, "cannot write"),
    ],
)
def test_what_a_video_file_cannot_be(tmp_path, out, options, word):
    assert word in refused("file", str(tmp_path / out), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_pyav_is_said_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match="live"):
        open_sink("file", str(tmp_path / "a.mp4"), fps=25)
    assert list(tmp_path.iterdir()) == []


# Pictures


def test_pictures_and_the_table_of_their_times(tmp_path):
    folder = tmp_path / "out"
    sink = open_sink("pictures", str(folder), fps=25)
    for index in (0, 1, 5):
        sink.write(frame(index), frame(index).image)
    sink.finish()
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000001.png", "000005.png", "frames.csv"]
    np.testing.assert_array_equal(cv2.imread(str(folder / "000005.png"))[..., ::-1], clips.numbered(5))
    assert (folder / "frames.csv").read_text().split() == ["000000.png,0.0", "000001.png,0.04", "000005.png,0.2"]


def test_transparent_pictures_and_jpeg(tmp_path):
    rgba = np.dstack([clips.numbered(3), clips.numbered(5)[..., 0]])
    sink = open_sink("pictures", str(tmp_path / "png"), fps=25, transparent=True)
    sink.write(frame(0), rgba)
    sink.finish()
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "png/000000.png"), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]], rgba)
    sink = open_sink("pictures", str(tmp_path / "jpg"), fps=25, picture_format="jpg")
    sink.write(frame(9), frame(9).image)
    sink.finish()
    assert clips.number(cv2.imread(str(tmp_path / "jpg/000009.jpg"))) == 9
    assert "transparency" in refused("pictures", str(tmp_path / "x"), transparent=True, picture_format="jpg")


def test_pictures_are_resumed_behind_the_last_whole_row(tmp_path):
    folder = tmp_path / "out"
    sink = open_sink("pictures", str(folder), fps=25)
    for index in range(3):
        sink.write(frame(index), frame(index).image)
    sink.close()
    with (folder / "frames.csv").open("a") as table:
        table.write("000003.pn")  # killed while writing
    assert "--resume" in refused("pictures", str(folder))
    sink = open_sink("pictures", str(folder), fps=25, resume=True)
    assert (sink.done.index, sink.done.time) == (2, 0.08)
    sink.write(frame(3), frame(3).image)
    sink.finish()
    assert [line.split(",")[0] for line in (folder / "frames.csv").read_text().split()] == [f"00000{index}.png" for index in range(4)]
    sink = open_sink("pictures", str(folder), fps=25, force=True)
    sink.write(frame(0), frame(0).image)
    sink.finish()
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "frames.csv"]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert "holds files" in refused("pictures", str(tmp_path), force=True)


# Virtual camera


def fake_camera(monkeypatch, fault=None):
    sent = []

    class Camera:
        def __init__(self, width, height, fps, *, fmt, device):
            if fault:
                raise RuntimeError(fault)
            self.width, self.height = width, height
            sent.append((width, height, fps, fmt, device))

        def send(self, image):
            sent.append(image)

        def close(self):
            sent.append("closed")

    library = types.SimpleNamespace(Camera=Camera, PixelFormat=types.SimpleNamespace(RGB="rgb"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", library)
    return sent


def test_a_virtual_camera_gets_frames_of_one_size(monkeypatch):
    sent = fake_camera(monkeypatch)
    sink = open_sink("camera", "/dev/video9", fps=0)
    sink.write(frame(1), clips.numbered(1))
    sink.write(frame(2), clips.numbered(2, (96, 128)))
    sink.finish()
    sink.close()
    assert sent[0] == (64, 48, 30, "rgb", "/dev/video9")
    assert [clips.number(image) for image in sent[1:3]] == [1, 2]
    assert all(image.shape == (48, 64, 3) for image in sent[1:3])
    assert sent[3:] == ["closed"]


def test_no_virtual_camera_is_said_with_the_remedy(monkeypatch):
    fake_camera(monkeypatch, "v4l2loopback: no device found\nsee the manual")
    sink = open_sink("camera", fps=30)
    with pytest.raises(InputError) as error:
        sink.write(frame(1), clips.numbered(1))
    assert "\n" not in str(error.value)
    if sys.platform.startswith("linux"):
        assert "modprobe v4l2loopback" in str(error.value)
    sink.close()


def test_the_real_library_without_a_device_is_said_too():
    pytest.importorskip("pyvirtualcam")
    if list(Path("/sys/devices/virtual/video4linux").glob("*")):
        pytest.skip("this machine has a virtual camera")
    sink = open_sink("camera", fps=30)
    with pytest.raises(InputError, match="no virtual camera"):
        sink.write(frame(1), clips.numbered(1))


def test_a_missing_pyvirtualcam_is_said_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(ImportError, match="live"):
        open_sink("camera", fps=30)


# Raw frames


RAW = """
from portraitseg.live.frames import SinkClosedError
from portraitseg.live.sinks import open_sink
from portraitseg.live.sources import open_source
import sys
sink = open_sink("raw", fps=30)
try:
    for frame in open_source("synthetic:64x48@30:" + sys.argv[1]):
        sink.write(frame, frame.image)
    sink.finish()
except SinkClosedError as error:
    print("ended:", error, file=sys.stderr)
sink.close()
"""


def test_raw_frames_arrive_whole_in_a_pipe():
    done = subprocess.run([sys.executable, "-c", RAW, "20"], capture_output=True, check=True)
    expected = b"".join(frame.image.tobytes() for frame in open_source("synthetic:64x48@30:20"))
    assert done.stdout == expected
    assert done.stderr == b""


def test_a_reader_that_leaves_ends_the_run_well():
    process = subprocess.Popen([sys.executable, "-c", RAW, "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert len(process.stdout.read(64 * 48 * 3)) == 64 * 48 * 3
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b"ended: the reader of the pipe has left\n"
    process.stderr.close()


def test_closing_frees_a_raw_sink_whose_reader_stands_still():
    read, write = os.pipe()
    with os.fdopen(write, "wb") as stream, os.fdopen(read, "rb"):
        sink = Raw(stream)
        image = np.zeros((720, 1280, 3), np.uint8)
        writer = threading.Thread(target=sink.write, args=(frame(0), image))
        writer.start()
        writer.join(0.2)
        assert writer.is_alive()
        sink.close()
        writer.join(5)
        assert not writer.is_alive()
        assert os.get_blocking(write)


def test_raw_frames_are_not_for_a_terminal():
    main, terminal = os.openpty()
    with os.fdopen(terminal, "wb") as stream, os.fdopen(main, "rb"), pytest.raises(InputError, match="terminal"):
        Raw(stream)


# What is no sink


def test_a_null_sink_counts():
    sink = open_sink("null", fps=30)
    for index in range(3):
        sink.write(frame(index), frame(index).image)
    sink.finish()
    sink.close()
    assert sink.frames == 3


def test_what_sinks_cannot_be():
    assert all(kind in refused("fax") for kind in KINDS)
    assert "--out" in refused("file")
    assert "no transparency" in refused("camera", transparent=True)
    assert "resumed" in refused("raw", resume=True)
