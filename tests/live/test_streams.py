"""Streams to and from real servers on this machine: read, lost, reached again; sent, counted, broken off."""

import contextlib
import http.server
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live import ffmpeg
from portraitseg.live.frames import Frame
from portraitseg.live.sinks import open_sink, push
from portraitseg.live.sources import open_source, reconnect, stream
from tests.live import clips


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children() -> list[str]:
    """Child processes of this one, zombies included."""
    return Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()


# Read


class Multipart(http.server.BaseHTTPRequestHandler):
    """A camera on the network: JPEG pictures without end, but cut off after `pictures` of each connection."""

    pictures = 20
    connections = 0
    answer = 200
    released = threading.Event()

    def do_GET(self):
        type(self).connections += 1
        self.send_response(self.answer)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=next")
        self.end_headers()
        for index in range(self.pictures if self.answer == 200 else 0):
            data = cv2.imencode(".jpg", clips.numbered(index, (96, 128)))[1].tobytes()
            with contextlib.suppress(OSError):
                self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data))
        self.after()

    def after(self):
        pass

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Start an HTTP server of a handler; its address."""
    servers = []

    def start(handler) -> str:
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_lost_stream_is_reached_again_and_given_up_at_last(serve, monkeypatch):
    class Camera(Multipart):
        def after(self):
            if type(self).connections == 3:
                type(self).answer = 404

    monkeypatch.setattr(reconnect, "PAUSES", (0.0, 0.01, 0.01))
    told = []
    source = open_source(f"{serve(Camera)}/live?user=a&password=secret", notice=told.append)
    assert source.live
    frames = list(source)
    assert Camera.connections == 3 + 3
    assert [frame.image.shape for frame in frames] == [(96, 128, 3)] * len(frames)
    assert [frame.index for frame in frames][-1] >= 40
    assert (np.diff([frame.time for frame in frames]) > 0).all()
    assert len(told) == 4
    assert "did not come back" in told[-1]
    assert not any("secret" in line for line in told)


def test_a_file_on_a_server_ends_where_it_ends(serve, tmp_path):
    clips.write(tmp_path / "clip.mp4")

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, *_):
            pass

    told = []
    source = open_source(f"{serve(Files)}/clip.mp4", notice=told.append)
    assert not source.live
    assert [clips.number(frame.image) for frame in source] == list(range(40))
    assert told == []


def test_nobody_there_and_no_video_are_refused_in_a_line(serve):
    class Text(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"no video " * 100)

        def log_message(self, *_):
            pass

    for url in (f"http://127.0.0.1:{free_port()}/x", f"{serve(Text)}/x", f"rtsp://127.0.0.1:{free_port()}/x", "rtsp://"):
        with pytest.raises(InputError) as error:
            open_source(url)
        assert "\n" not in str(error.value)


@pytest.fixture
def mute():
    """A server that takes connections and neither answers nor reads; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
def test_a_server_that_does_not_answer_is_not_waited_for_long(mute, scheme):
    start = time.monotonic()
    with pytest.raises(InputError):
        stream.open_stream(f"{scheme}://127.0.0.1:{mute}/x", notice=print, limit=0.4)
    assert time.monotonic() - start < 5


def test_a_stream_that_stands_still_is_lost_after_the_limit(serve, monkeypatch):
    class Standing(Multipart):
        released = threading.Event()

        def after(self):
            type(self).answer = 404
            self.wfile.flush()
            self.released.wait(20)

    monkeypatch.setattr(reconnect, "PAUSES", (0.0,))
    told = []
    start = time.monotonic()
    frames = list(stream.open_stream(f"{serve(Standing)}/live", notice=told.append, limit=0.5))
    Standing.released.set()
    assert time.monotonic() - start < 8
    assert frames
    assert "did not come back" in told[-1]


def test_closing_frees_one_who_waits_for_a_stream(serve):
    class Standing(Multipart):
        released = threading.Event()

        def after(self):
            self.released.wait(20)

    source = stream.open_stream(f"{serve(Standing)}/live", notice=print, limit=2.0)
    seen = threading.Event()

    def read():
        for _ in source:
            seen.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert seen.wait(10)
    start = time.monotonic()
    source.close()
    reader.join(5)
    Standing.released.set()
    assert not reader.is_alive()
    assert time.monotonic() - start < 3


def test_without_pyav_opencv_reads_streams(serve, monkeypatch):
    class Camera(Multipart):
        def after(self):
            type(self).answer = 404

    monkeypatch.setattr(reconnect, "PAUSES", (0.0,))
    address = serve(Camera)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    frames = list(open_source(f"{address}/live", notice=lambda line: None))
    assert frames[-1].image.shape == (96, 128, 3)


def test_rtsp_is_read(tmp_path):
    """From a server of a few lines, which speaks RTSP and passes on what ffmpeg sends it as RTP."""
    frames = []
    with Rtsp() as address:
        source = open_source(address, notice=lambda line: None)
        for frame in source:
            frames.append(clips.number(frame.image))
            if len(frames) == 10:
                source.close()
    assert len(frames) == 10
    assert all(0 <= number < 200 for number in frames)
    assert frames == sorted(frames)


class Rtsp:
    """An RTSP server for one viewer, RTP inside its connection (RFC 2326, section 10.12)."""

    def __enter__(self) -> str:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.relay.bind(("127.0.0.1", 0))
        self.relay.settimeout(10)
        self.sender = None
        self.thread = threading.Thread(target=self.talk)
        self.thread.start()
        return f"rtsp://127.0.0.1:{self.server.getsockname()[1]}/live"

    def __exit__(self, *_):
        self.thread.join(20)
        if self.sender:
            self.sender.kill()
            self.sender.communicate()
        self.relay.close()
        self.server.close()

    def talk(self):
        connection, _ = self.server.accept()
        with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
            while request := lines.readline().decode():
                fields = dict(line.split(": ", 1) for line in iter(lambda: lines.readline().decode().strip(), ""))
                reply, body = {"CSeq": fields["CSeq"], "Session": "1"}, b""
                if request.startswith("OPTIONS"):
                    reply["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
                if request.startswith("DESCRIBE"):
                    body = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:one\r\n"  # 26: JPEG
                    reply |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
                if request.startswith("SETUP"):
                    reply["Transport"] = fields["Transport"]
                head = "".join(f"{key}: {value}\r\n" for key, value in reply.items())
                connection.sendall(f"RTSP/1.0 200 OK\r\n{head}\r\n".encode() + body)
                if request.startswith("PLAY"):
                    self.play(connection)

    def play(self, connection):
        pixels = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x96", "-r", "50", "-i", "-"]
        target = f"rtp://127.0.0.1:{self.relay.getsockname()[1]}"
        coded = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-huffman", "default", "-force_duplicated_matrix", "1", "-q:v", "3"]
        self.sender = subprocess.Popen(
            [ffmpeg.find(), "-loglevel", "error", "-re", *pixels, *coded, "-f", "rtp", target],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        data = b"".join(clips.numbered(index, (96, 128)).tobytes() for index in range(200))
        threading.Thread(target=self.feed, args=(data,), daemon=True).start()
        while True:
            packet = self.relay.recv(65536)
            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)

    def feed(self, data):
        with contextlib.suppress(OSError):
            self.sender.stdin.write(data)
            self.sender.stdin.close()


# Sent


class Listener:
    """ffmpeg as a server, that keeps what it gets."""

    def __init__(self, folder: Path, scheme: str):
        self.out = folder / "got.mkv"
        port = free_port()
        self.url = f"{scheme}://127.0.0.1:{port}/live/secret" if scheme == "rtmp" else f"{scheme}://127.0.0.1:{port}"
        late = f"{self.url}?mode=listener&latency=1000000&tlpktdrop=0"  # what comes late counts, too
        listening = ["-listen", "1", "-i", self.url] if scheme == "rtmp" else ["-i", late]
        words = [ffmpeg.find(), "-y", "-loglevel", "debug", *listening, "-c", "copy", str(self.out)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.wait_for_port(port, udp=scheme == "srt")
        self.drain = threading.Thread(target=self.process.stderr.read)  # a full pipe would hold it up
        self.drain.start()

    def wait_for_port(self, port: int, *, udp: bool) -> None:
        """Until the kernel's table has the port."""
        table, mark = Path("/proc/net/udp" if udp else "/proc/net/tcp"), f":{port:04X} "
        deadline = time.monotonic() + 20
        while mark not in table.read_text():
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            time.sleep(0.01)

    def frames(self) -> list[int]:
        self.process.wait(20)  # of SRT ends with an error, however the sender goes
        self.drain.join(5)
        capture, numbers = cv2.VideoCapture(str(self.out)), []
        while (read := capture.read())[0]:
            numbers.append(clips.number(read[1]))
        return numbers

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        self.drain.join(5)
        self.process.stderr.close()


@pytest.fixture
def listen(tmp_path):
    listeners = []

    def start(scheme: str) -> Listener:
        listeners.append(Listener(tmp_path, scheme))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.kill()


def frame(index: int, time: float, size=(96, 128)) -> Frame:
    return Frame(image=clips.numbered(index, size), time=time, index=index)


@pytest.mark.parametrize("scheme", ["rtmp", "srt"])
def test_all_frames_arrive(listen, scheme):
    server = listen(scheme)
    sink = open_sink("stream", server.url, fps=50, live=True, preset="ultrafast")
    held = 0 if scheme == "rtmp" else 50  # what SRT's receiver holds for its second of latency it may drop when the sender hangs up
    for index in range(60 + held):
        sink.write(frame(index, index / 50), clips.numbered(index, (96, 128)))
    sink.finish()
    sink.close()
    numbers = server.frames()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 60


def test_the_stream_keeps_to_the_clock_of_the_frames(listen):
    """Frames that come twice as fast as the stream are thinned out, those that come late are repeated, a standstill is left out."""
    server = listen("rtmp")
    sink = open_sink("stream", server.url, fps=10, live=True, preset="ultrafast")
    times = [0, 0.04, 0.1, 0.14, 0.2, 0.5, 0.6, 100.0, 100.1]
    for index, at in enumerate(times):
        size = (48, 64) if index == 6 else (96, 128)
        sink.write(frame(index, at, size), clips.numbered(index, size))
    sink.finish()
    assert server.frames() == [0, 2, 4, 5, 5, 5, 6, 7, 8]  # 0.1 s each


def test_a_file_is_sent_no_faster_than_it_is_seen(listen):
    server = listen("rtmp")
    sink = open_sink("stream", server.url, fps=25, live=False, preset="ultrafast")
    start = time.monotonic()
    for index in range(50):
        sink.write(frame(index, index / 25), clips.numbered(index, (96, 128)))
    sink.finish()
    assert time.monotonic() - start > 1.2  # of 2 s ffmpeg sends the first half second at once; without a pace it takes 0.3 s
    assert len(server.frames()) == 50


def write_on(sink, *, seconds: float = 30.0) -> InputError:
    """Write until the sink has had enough of it."""
    deadline, index = time.monotonic() + seconds, 0
    with pytest.raises(InputError) as error:
        while time.monotonic() < deadline:
            sink.write(frame(index, index / 25), clips.numbered(index % 256, (96, 128)))
            index += 1
    assert "\n" not in str(error.value)
    return error.value


def test_a_server_that_goes_away_ends_the_run_with_a_line(listen):
    before = children()
    server = listen("rtmp")
    sink = open_sink("stream", server.url, fps=25, live=True, preset="ultrafast")
    for index in range(30):
        sink.write(frame(index, index / 25), clips.numbered(index, (96, 128)))
    server.process.kill()
    start = time.monotonic()
    told = str(write_on(sink))
    assert "broke off" in told
    sink.close()
    assert time.monotonic() - start < 15
    server.process.wait(5)
    assert children() == before  # no zombie


def test_nobody_listening_is_said_in_a_line():
    before = children()
    sink = open_sink("stream", f"rtmp://127.0.0.1:{free_port()}/live/secret", fps=25, live=True)
    told = str(write_on(sink))
    assert "broke off" in told
    assert "secret" not in told
    assert re.search("refused|Connection|Error", told)
    sink.close()
    assert children() == before


def test_a_server_that_takes_nothing_is_given_up(mute):
    before = children()
    sink = push.Push(f"rtmp://127.0.0.1:{mute}/live/x", fps=25, live=True, preset="ultrafast", limit=0.6)
    assert "has taken nothing for 0.6 s" in str(write_on(sink))
    start = time.monotonic()
    sink.close()
    assert time.monotonic() - start < 2 * push.GRACE + 2
    assert children() == before


def test_closing_frees_one_who_writes_to_a_server_that_takes_nothing(mute, monkeypatch):
    monkeypatch.setattr(push, "GRACE", 0.3)
    before = children()
    sink = push.Push(f"rtmp://127.0.0.1:{mute}/live/x", fps=25, live=True, preset="ultrafast", limit=60)
    image = np.zeros((720, 1280, 3), np.uint8)

    def write():  # until the pipe is full
        for index in range(50):
            sink.write(Frame(image=image, time=index / 25, index=index), image)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(0.5)
    assert writer.is_alive()
    sink.close()
    writer.join(5)
    assert not writer.is_alive()
    assert children() == before


def test_finishing_does_not_wait_for_ever(mute, monkeypatch):
    monkeypatch.setattr(push, "GRACE", 0.3)
    sink = push.Push(f"rtmp://127.0.0.1:{mute}/live/x", fps=25, live=True, preset="ultrafast", limit=0.5)
    sink.write(frame(0, 0.0, (8, 8)), clips.numbered(0, (8, 8)))
    with pytest.raises(InputError, match="did not take the end"):
        sink.finish()
    sink.close()


@pytest.mark.parametrize("url", ["-y", "http://x/y", "file:///etc/x", "rtmp", "/dev/sda", "-rtmp://x", "rtmp:x", "concat:rtmp://x"])
def test_only_streaming_addresses_are_taken(url):
    with pytest.raises(InputError, match="rtmp://, rtmps://, srt://"):
        open_sink("stream", url, fps=25)


def test_words_of_the_shell_are_only_words(tmp_path):
    mark = tmp_path / "mark"
    sink = open_sink("stream", f"rtmp://127.0.0.1:1/$(touch {mark});touch {mark} &", fps=25, live=True)
    write_on(sink)
    sink.close()
    assert not mark.exists()


def test_a_missing_ffmpeg_is_said_with_what_installs_it(monkeypatch):
    import imageio_ffmpeg

    def none():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    with pytest.raises(InputError, match="apt install ffmpeg"):
        open_sink("stream", "rtmp://127.0.0.1/x", fps=25)


def test_the_systems_ffmpeg_comes_first(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.touch(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    assert ffmpeg.find() == str(program)
