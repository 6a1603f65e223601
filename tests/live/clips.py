"""Small videos whose frames carry their number, written by the program ffmpeg: independent of what reads and writes them here."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
from imageio_ffmpeg import get_ffmpeg_exe

BITS = 8
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-bf", "2", "-pix_fmt", "yuv420p")


def numbered(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """RGB (h,w,3): bars from left to right, white where a bit of `number` is set, the highest first."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS - 1, -1, -1)]
    row = cv2.resize(np.array([bits], np.uint8), (size[1], 1), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.repeat(row[..., None], 3, axis=2), size[0], axis=0)


def number(image: np.ndarray) -> int:
    """Read it again."""
    means = [part.mean() for part in np.array_split(image[image.shape[0] // 2, :, 0].astype(float), BITS)]
    return sum((mean > 128) << (BITS - 1 - place) for place, mean in enumerate(means))


def run(*words: str, data: bytes | None = None) -> None:
    """Always by one ffmpeg: what a system's own may lack, or where it lets a video start, differs."""
    subprocess.run([get_ffmpeg_exe(), "-y", "-loglevel", "error", *words], input=data, check=True)


def told(*words: str) -> str:
    """What ffmpeg says of its inputs."""
    return subprocess.run([get_ffmpeg_exe(), "-hide_banner", *words], capture_output=True, text=True, check=False).stderr


def write(path: Path, count: int = 40, *, fps: float = 25, size=(48, 64), coded=H264, sound=(), before=()) -> Path:
    """Write `count` numbered frames; `sound` and `before` are words for ffmpeg, of a second input and ahead of the first."""
    data = b"".join(numbered(index, size).tobytes() for index in range(count))
    pixels = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-r", str(fps), "-i", "pipe:0"]
    run(*before, *pixels, *sound, *coded, str(path), data=data)
    return path


def spoil(path: Path, first: float, last: float) -> None:
    """Overwrite a stretch of the file, from `first` to `last` of its length, with noise."""
    data = bytearray(path.read_bytes())
    start, stop = int(len(data) * first), int(len(data) * last)
    data[start:stop] = np.random.default_rng(0).bytes(stop - start)
    path.write_bytes(data)
