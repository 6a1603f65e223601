"""Sources: files of every kind and fault, cameras that come and go, pictures, the drawn person."""

import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live.frames import Position
from portraitseg.live.sources import camera as cameras
from portraitseg.live.sources import open_source, synthetic
from portraitseg.live.sources.reconnect import PAUSES, Reconnecting
from portraitseg.live.sources.video import PlainVideo
from tests.live import clips


def numbers(source) -> list[int]:
    return [clips.number(frame.image) for frame in source]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return clips.write(tmp_path_factory.mktemp("clips") / "clip.mp4")


def refused(text, **options) -> str:
    with pytest.raises(InputError) as error:
        list(open_source(str(text), **options))
    assert "\n" not in str(error.value)
    return str(error.value)


# Video files


def test_a_video_gives_all_frames_in_order_at_their_times(clip):
    source = open_source(str(clip))
    frames = list(source)
    assert not source.live
    assert (source.fps, source.count) == (25, 40)
    assert [clips.number(frame.image) for frame in frames] == list(range(40))
    assert [frame.index for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 25, atol=1e-9)
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].image.dtype == np.uint8


def test_colours_are_those_that_opencv_reads(tmp_path):
    path = tmp_path / "colours.mp4"
    clips.run("-f", "lavfi", "-i", "testsrc=s=128x96:d=0.2:r=10", *clips.H264, str(path))
    (first, _) = open_source(str(path))
    bgr = cv2.VideoCapture(str(path)).read()[1]
    assert np.abs(first.image.astype(int) - bgr[..., ::-1]).mean() < 2


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_phones_rotation_is_undone_as_opencv_does(tmp_path, turn):
    picture, plain, turned = clips.numbered(0b1010_0001), tmp_path / "plain.mp4", tmp_path / "turned.mp4"
    clips.run("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-i", "-", *clips.H264, str(plain), data=picture.tobytes())
    clips.run("-display_rotation", str(turn), "-i", str(plain), "-c", "copy", str(turned))
    (frame,) = open_source(str(turned))
    bgr = cv2.VideoCapture(str(turned)).read()[1]
    assert np.abs(frame.image.astype(int) - bgr).mean() < 3
    assert np.abs(frame.image.astype(int) - np.rot90(picture, turn // 90)).mean() < 3  # the flag counts counter-clockwise


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    path, times = tmp_path / "vfr.mkv", [0, 40, 90, 100, 350, 1000, 1040]  # milliseconds
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=25)
        stream.height, stream.width = 48, 64
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time in enumerate(times):
            picture = av.VideoFrame.from_ndarray(clips.numbered(index))
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    np.testing.assert_allclose([frame.time for frame in open_source(str(path))], np.array(times) / 1000, atol=1e-3)


def test_what_is_broken_in_the_middle_is_skipped_and_said_once(tmp_path, clip):
    path = tmp_path / "broken.mp4"
    path.write_bytes(clip.read_bytes())
    clips.spoil(path, 0.45, 0.5)
    told = []
    frames = list(open_source(str(path), notice=told.append))
    assert [clips.number(frame.image) for frame in frames][:10] == list(range(10))
    assert clips.number(frames[-1].image) == 39
    assert frames[-1].time == pytest.approx(39 / 25)
    assert (np.diff([frame.time for frame in frames]) > 0).all()
    assert len(told) == 1
    assert "damaged" in told[0]


def test_what_is_no_video_is_refused_in_a_line(tmp_path, clip):
    empty, text, cut = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "cut.mp4"
    empty.touch()
    text.write_text("no video " * 100)
    cut.write_bytes(clip.read_bytes()[:2000])  # the index at the end is gone
    clips.run("-f", "lavfi", "-i", "sine=d=0.2", str(tmp_path / "sound.mp4"))
    assert "0 bytes" in refused(empty)
    assert "there is no" in refused(tmp_path / "missing.mp4")
    for path in (text, cut):
        assert "cannot be opened as video" in refused(path)
    assert "no pictures" in refused(tmp_path / "sound.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".h264", ".avi"])
@pytest.mark.parametrize("last", [0, 7, 25, 38])
def test_a_resumed_video_begins_with_the_very_next_frame(tmp_path, suffix, last):
    path = clips.write(tmp_path / f"clip{suffix}")
    whole = list(open_source(str(path)))
    assert numbers(whole) == list(range(40))
    told = []
    rest = list(open_source(str(path), after=Position(index=last, time=whole[last].time), notice=told.append))
    assert told == []
    assert numbers(rest) == list(range(last + 1, 40))
    assert [(frame.index, frame.time) for frame in rest] == [(frame.index, frame.time) for frame in whole[last + 1 :]]


def test_a_broken_video_is_resumed_at_the_next_frame_too(tmp_path, clip):
    path = tmp_path / "broken.mp4"
    path.write_bytes(clip.read_bytes())
    clips.spoil(path, 0.45, 0.5)
    whole = list(open_source(str(path), notice=lambda line: None))
    last = whole[-6]
    rest = list(open_source(str(path), after=Position(index=last.index, time=last.time), notice=lambda line: None))
    assert [(frame.index, frame.time) for frame in rest] == [(frame.index, frame.time) for frame in whole[-5:]]
    assert numbers(rest) == numbers(whole[-5:])


def test_without_pyav_opencv_reads_the_same(clip, tmp_path):
    ours, plain = list(open_source(str(clip))), list(PlainVideo(clip, after=None))
    assert numbers(plain) == numbers(ours)
    np.testing.assert_allclose([frame.time for frame in plain], [frame.time for frame in ours], atol=1e-3)
    assert numbers(PlainVideo(clip, after=Position(index=7, time=7 / 25))) == list(range(8, 40))
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(InputError, match="no video that OpenCV can read"):
        PlainVideo(tmp_path / "text.mp4", after=None)


def test_pyav_is_only_asked_where_it_is_installed(clip, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(open_source(str(clip)), PlainVideo)


def test_frames_may_change_their_size(tmp_path):
    small, large = clips.write(tmp_path / "s.h264", 3), clips.write(tmp_path / "l.h264", 3, size=(96, 128))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    assert [frame.image.shape[:2] for frame in open_source(str(joined))] == [(48, 64)] * 3 + [(96, 128)] * 3


def test_closing_ends_a_video(clip):
    source = open_source(str(clip))
    seen = []
    for frame in source:
        seen.append(frame.index)
        source.close()
    assert seen == [0]
    source.close()


# Turned and looped


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("mirror", [False, True])
def test_frames_are_turned_clockwise_then_mirrored(turn, mirror):
    plain = next(iter(open_source("synthetic:64x48"))).image
    turned = next(iter(open_source("synthetic:64x48", rotate=turn, mirror=mirror))).image
    expected = np.rot90(plain, -turn // 90)
    np.testing.assert_array_equal(turned, expected[:, ::-1] if mirror else expected)


def test_a_turn_of_45_degrees_is_refused():
    assert "90" in refused("synthetic", rotate=45)


def test_a_loop_goes_on_counting(clip):
    source = open_source(str(clip), loop=True)
    frames = [frame for frame, _ in zip(source, range(85), strict=False)]
    assert [clips.number(frame.image) for frame in frames] == [index % 40 for index in range(85)]
    assert [frame.index for frame in frames] == list(range(85))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(85) / 25, atol=1e-6)
    source.close()
    assert list(source) == []


# Pictures


def test_a_folder_gives_its_pictures_in_order_and_leaves_broken_ones_out(tmp_path):
    for index in (0, 1, 2, 10):
        cv2.imwrite(str(tmp_path / f"p{index}.png"), clips.numbered(index, (48 + index, 64)))
    (tmp_path / "p3.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either")
    told = []
    source = open_source(str(tmp_path), fps=10, notice=told.append)
    frames = list(source)
    assert numbers(frames) == [0, 1, 2, 10]
    assert [frame.image.shape[0] for frame in frames] == [48, 49, 50, 58]
    assert [(frame.index, frame.time) for frame in frames] == [(0, 0.0), (1, 0.1), (2, 0.2), (4, 0.4)]
    assert (source.count, source.fps) == (5, 10)
    assert len(told) == 1
    assert "1 of 5" in told[0]
    assert "p3.png" in told[0]
    assert numbers(open_source(str(tmp_path), after=Position(index=1, time=0.1), notice=told.append)) == [2, 10]


def test_a_picture_is_a_source_of_one_frame_upright(tmp_path):
    from PIL import Image

    picture = clips.numbered(0b1100_1010)
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    Image.fromarray(np.rot90(picture).copy()).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    (frame,) = open_source(str(tmp_path / "phone.jpg"))
    assert clips.number(frame.image) == 0b1100_1010


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 4, 4)])
def test_pictures_of_any_shape_become_rgb_of_their_own_size(tmp_path, shape):
    cv2.imwrite(str(tmp_path / "odd.png"), np.full(shape, 77, np.uint8))
    (frame,) = open_source(str(tmp_path / "odd.png"))
    assert frame.image.shape == (*shape[:2], 3)
    assert (frame.image == 77).all()


def test_folders_without_a_readable_picture_are_refused(tmp_path):
    assert "holds no pictures" in refused(tmp_path)
    (tmp_path / "a.png").touch()
    assert "empty" in refused(tmp_path)


# The drawn person


def test_the_drawn_person_is_the_same_each_time_and_moves():
    first, second = (list(open_source("synthetic:64x48@10:12")) for _ in range(2))
    assert len(first) == 12
    assert all((a.image == b.image).all() for a, b in zip(first, second, strict=True))
    assert (first[0].image != first[11].image).any()
    assert [frame.time for frame in first] == pytest.approx(np.arange(12) / 10)
    assert [f.index for f in open_source("synthetic:64x48@10:12", after=Position(index=9, time=0.9))] == [10, 11]


def test_the_drawn_persons_mask_covers_what_moves():
    frames = list(open_source("synthetic:160x120@2:8"))  # one sway
    wall = np.median([frame.image for frame in frames], axis=0)
    frame = frames[2]
    moved = np.abs(frame.image.astype(float) - wall).max(axis=2) > 12
    assert moved.sum() > 100
    assert (synthetic.mask((120, 160), frame.time)[moved] > 0).mean() > 0.5
    outside = cv2.dilate(np.max([synthetic.mask((120, 160), f.time) for f in frames], axis=0), np.ones((3, 3))) == 0
    assert not moved[outside].any()


@pytest.mark.parametrize("text", ["synthetic:", "synthetic:0x5", "synthetic:64x48@0", "synthetic:64", "synthetic:64x48@30:"])
def test_other_forms_of_synthetic_are_refused(text):
    assert "1280x720@30:300" in refused(text)


# Cameras


class Capture:
    """What OpenCV's capture is to us: pictures, then nothing; each waits until the one before has been taken."""

    def __init__(self, pictures, taken: threading.Semaphore):
        self.pictures, self.taken, self.released = list(pictures), taken, False

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def get(self, _):
        return 30.0

    def set(self, key, value):
        pass

    def read(self):
        if not self.pictures:
            return False, None
        self.taken.acquire()
        return True, self.pictures.pop(0)

    def release(self):
        self.released = True


def camera(plugs, told, pauses):
    """A camera whose captures, one after the other, are `plugs`; None where it is unplugged. Also what lets the next picture come."""
    taken = threading.Semaphore(1)
    before = []
    captures = iter([None if plug is None else Capture(plug, taken) for plug in plugs])

    def connect():
        assert all(capture.released for capture in before)  # a device that is held cannot be opened again
        capture = next(captures)
        if capture is None:
            raise InputError("camera 0 cannot be opened")
        before.append(capture)
        return cameras.CaptureReader(capture, "camera 0 cannot be opened")

    def wait(seconds):
        pauses.append(seconds)
        return False

    return Reconnecting("camera 0", connect, notice=told.append, wait=wait, clock=iter(range(1000)).__next__), taken


def drain(source, taken):
    frames = []
    for frame in source:
        frames.append(frame)
        taken.release()
    return frames


def test_a_camera_that_comes_back_goes_on():
    told, pauses = [], []
    bgr = clips.numbered(1)[..., ::-1]
    grey = clips.numbered(2)[..., 0]
    source, taken = camera([[bgr, grey], None, None, [clips.numbered(3)], *[None] * len(PAUSES)], told, pauses)
    frames = drain(source, taken)
    assert numbers(frames) == [1, 2, 3]
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert frames[0].time == 0
    assert frames[0].time < frames[1].time < frames[2].time
    assert pauses == [*PAUSES[:3], *PAUSES]  # from the shortest again, once a picture came
    assert len(told) == 3
    assert "did not come back" in told[-1]


def test_a_camera_that_stays_away_ends_the_run_well():
    told, pauses = [], []
    source, taken = camera([[clips.numbered(5)], *[None] * len(PAUSES)], told, pauses)
    assert numbers(drain(source, taken)) == [5]
    assert pauses == list(PAUSES)
    assert len(told) == 2
    assert source.live
    assert source.count is None


def test_a_camera_that_opens_but_gives_nothing_is_given_up_too():
    told, pauses = [], []
    source, taken = camera([[]] * (len(PAUSES) + 1), told, pauses)
    assert drain(source, taken) == []
    assert pauses == list(PAUSES)


class Stuck:
    """A camera whose driver does not come back."""

    fps = 0.0

    def __init__(self):
        self.reading, self.go = threading.Event(), threading.Event()
        self.closed = 0

    def read(self):
        self.reading.set()
        self.go.wait(30)

    def close(self):
        self.closed += 1


def test_closing_frees_one_who_waits_for_a_stuck_camera(monkeypatch):
    monkeypatch.setattr("portraitseg.live.sources.reconnect.JOIN", 0.01)
    reader = Stuck()
    source = Reconnecting("camera 0", lambda: reader, notice=lambda line: None)
    got = []
    waiting = threading.Thread(target=lambda: got.extend(source))
    waiting.start()
    assert reader.reading.wait(5)
    source.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert got == []
    reader.go.set()
    source._thread.join(5)
    assert reader.closed == 1


def test_closing_frees_one_who_waits_between_two_tries():
    told = []
    captures = iter([Capture([], threading.Semaphore(0))])
    source = Reconnecting(
        "camera 0", lambda: cameras.CaptureReader(next(captures), ""), notice=lambda line: (told.append(line), source.close())
    )
    assert list(source) == []
    assert len(told) == 1


def test_a_camera_that_was_never_read_is_freed():
    reader = Stuck()
    source = Reconnecting("camera 0", lambda: reader, notice=lambda line: None)
    source.close()
    source.close()
    assert reader.closed == 1


def test_the_newest_frame_wins():
    go, done, taken = threading.Event(), threading.Event(), threading.Event()

    class Fast:
        fps = 30.0

        def __init__(self):
            self.pictures = iter(range(50))

        def read(self):
            index = next(self.pictures, None)
            if index is None:
                done.set()
                taken.wait(5)
                return None
            if index == 1:
                go.wait(5)
            return clips.numbered(index)

        def close(self):
            pass

    source = Reconnecting("camera 0", Fast, notice=lambda line: None)
    frames = iter(source)
    assert clips.number(next(frames).image) == 0
    go.set()
    assert done.wait(5)
    last = next(frames)
    assert (last.index, clips.number(last.image)) == (49, 49)
    source.close()
    taken.set()


def test_nothing_comes_after_closing():
    taken, waiting = threading.Event(), threading.Event()

    class Two(Stuck):
        count = 0

        def read(self):
            self.count += 1
            if self.count == 2:
                taken.wait(5)
            if self.count == 3:  # the second picture is out
                waiting.set()
                self.go.wait(5)
            return clips.numbered(self.count)

    reader = Two()
    source = Reconnecting("camera 0", lambda: reader, notice=lambda line: None)
    frames = iter(source)
    assert clips.number(next(frames).image) == 1
    taken.set()
    assert waiting.wait(5)
    reader.go.set()
    source.close()
    assert list(frames) == []


def test_a_fault_in_the_reading_thread_reaches_the_one_who_reads():
    class Faulty(Stuck):
        def read(self):
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        list(Reconnecting("camera 0", Faulty, notice=lambda line: None))


def test_a_missing_camera_is_refused_with_those_that_there_are():
    assert "camera 63 cannot be opened" in refused("63")
    assert "/dev/video63" in refused("/dev/video63")


def test_a_wished_size_is_asked_of_the_camera(monkeypatch):
    asked = {}

    class Wished(Capture):
        def __init__(self, device):
            super().__init__([], threading.Semaphore(0))
            asked["device"] = device

        def set(self, key, value):
            asked[key] = value

    monkeypatch.setattr(cv2, "VideoCapture", Wished)
    open_source("2", size=(1280, 720), fps=60).close()
    assert asked["device"] == 2
    assert (asked[cv2.CAP_PROP_FRAME_WIDTH], asked[cv2.CAP_PROP_FRAME_HEIGHT], asked[cv2.CAP_PROP_FPS]) == (1280, 720, 60)


# What is no source


@pytest.mark.parametrize("text", ["ftp://host/a.mp4", "file:///etc/passwd", "concat:a|b", "-i"])
def test_other_things_are_refused(text):
    assert text.partition(":")[0] in refused(text)


def test_a_live_source_is_neither_looped_nor_resumed(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda device: Capture([], threading.Semaphore(0)))
    assert "live" in refused("0", loop=True)
    assert "live" in refused("0", after=Position(index=0, time=0.0))


def test_loading_the_package_loads_nothing_heavy():
    line = "import sys; import portraitseg.live.sources, portraitseg.live.sinks; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout.split()
    assert "cv2" in loaded
    assert not {"av", "pyvirtualcam", "imageio_ffmpeg", "tensorflow", "matplotlib", "PIL", "scipy"} & set(loaded)


def test_pyav_reads_without_a_word_on_stderr(tmp_path, clip, capfd):
    path = tmp_path / "broken.mp4"
    path.write_bytes(clip.read_bytes())
    clips.spoil(path, 0.45, 0.5)
    list(open_source(str(path), notice=lambda line: None))
    assert capfd.readouterr().err == ""
    assert av.__version__
