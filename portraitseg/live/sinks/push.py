"""Sending to an RTMP or SRT server, by an ffmpeg child process."""

import contextlib
import subprocess
import tempfile
import threading
from urllib.parse import urlsplit

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live import ffmpeg
from portraitseg.live.frames import Frame
from portraitseg.live.sinks.pipe import Pipe
from portraitseg.live.sinks.sizes import even, letterbox

FORMATS = {
    "rtmp": ["-f", "flv"],
    "rtmps": ["-f", "flv"],
    "srt": ["-f", "mpegts", "-linger", "3"],  # seconds; else what is under way when the sender ends is lost
}
LIMIT = 10.0  # seconds in which the server has to take something
GRACE = 3.0  # seconds for the child process to end by itself, and then once more after being asked to
GAP = 2.0  # seconds without frames that are filled with the last one; a longer standstill is left out of the stream


class Push:
    """H.264 at an even rate: frames are repeated or left out as their times say."""

    done = None

    def __init__(self, url: str, *, fps: float, live: bool, preset: str, limit: float = LIMIT) -> None:
        """Find ffmpeg; it is started with the first frame, whose size the stream takes.

        Args:
            url: one of `FORMATS`.
            fps: of the stream.
            live: frames come in their own time; otherwise they are sent no faster than they are to be seen.
            preset: of x264.
            limit: seconds in which the server has to take something.

        Raises:
            InputError: the URL is of another kind, or there is no ffmpeg.
        """
        scheme = url.partition("://")[0].lower()
        if scheme not in FORMATS or "://" not in url:
            raise InputError(f"streams are sent to {'://, '.join(FORMATS)}://, got {url!r}")
        self._url, self._format, self._fps, self._live, self._preset, self._limit = url, FORMATS[scheme], fps, live, preset, limit
        self._name = "{0.scheme}://{0.hostname}".format(urlsplit(url))  # what follows is often a secret key
        self._program = ffmpeg.find()
        self._child: subprocess.Popen[bytes] | None = None
        self._pipe: Pipe | None = None
        self._size = (0, 0)
        self._origin = 0.0
        self._sent = 0
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        with self._lock:
            if self._closed.is_set():
                return
            picture = even(image)
            if self._child is None:
                self._start(picture, frame.time)
            picture = letterbox(picture, self._size)
            for _ in range(self._due(frame.time)):
                self._send(picture)

    def finish(self) -> None:
        """See `Sink`."""
        with self._lock:
            if self._child is not None and not self._closed.is_set():
                self._hang_up()
                try:
                    code = self._child.wait(self._limit)
                except subprocess.TimeoutExpired:
                    raise InputError(f"{self._name} did not take the end within {self._limit:g} s") from None
                if code:
                    raise InputError(self._fault())
        self.close()

    def close(self) -> None:
        """See `Sink`. A write in another thread ends within `pipe.TICK`."""
        self._closed.set()
        with self._lock:
            if self._child is not None:
                self._hang_up()
                stop(self._child)
                self._child = None
            self._messages.close()

    def _start(self, image: UInt8, time: float) -> None:
        self._size, self._origin = (image.shape[0], image.shape[1]), time
        self._child = subprocess.Popen(
            [self._program, *_arguments(self._url, self._format, self._size, self._fps, self._live, self._preset)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
            start_new_session=True,  # Ctrl-C is for us: the stream is to be ended in order
            bufsize=0,
        )
        assert self._child.stdin is not None
        self._pipe = Pipe(self._child.stdin.fileno())

    def _due(self, time: float) -> int:
        """How often this frame is sent, that the stream keeps to the clock."""
        late = (time - self._origin) - self._sent / self._fps
        if late > GAP:
            self._origin += late
        return max(0, round((time - self._origin) * self._fps) + 1 - self._sent)

    def _send(self, image: UInt8) -> None:
        assert self._pipe is not None
        assert self._child is not None
        try:
            if self._pipe.write(image, closed=self._closed.is_set, limit=self._limit):
                self._sent += 1
        except TimeoutError as error:
            self._child.terminate()  # there is nothing that it could end in order
            raise InputError(f"{self._name} has taken nothing for {self._limit:g} s; see that the server runs") from error
        except OSError as error:
            raise InputError(self._fault()) from error

    def _hang_up(self) -> None:
        """Close the child's input, which it takes for the end."""
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()

    def _fault(self) -> str:
        """What ffmpeg said at last, without the URL."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(GRACE)
        self._messages.seek(0)
        lines = self._messages.read().decode(errors="replace").replace(self._url, self._name).split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "no word of why")
        return f"the stream to {self._name} broke off: {said}; see that the server runs and takes this address"


def stop(child: "subprocess.Popen[bytes]") -> None:
    """See that a child process is gone, within seconds, and leave no zombie."""
    for push in (child.terminate, child.kill):
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)
            return
        push()
    child.wait()


def _arguments(url: str, form: list[str], size: tuple[int, int], fps: float, live: bool, preset: str) -> list[str]:
    """The words of ffmpeg's command line; no shell reads them."""
    pace = [] if live else ["-re"]
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-r", f"{fps:g}", "-i", "pipe:0"]
    colour = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_range", "tv"]
    codec = ["-c:v", "libx264", "-preset", preset, "-tune", "zerolatency", "-g", str(max(1, round(2 * fps)))]
    return ["-hide_banner", "-loglevel", "error", *pace, *source, "-an", *colour, *codec, *form, url]
