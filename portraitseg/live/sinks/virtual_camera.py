"""A virtual camera, which other programs open like a real one; through pyvirtualcam."""

import sys
import threading
from typing import Any

import numpy as np

from portraitseg.errors import InputError, one_line
from portraitseg.image import UInt8
from portraitseg.live.frames import Frame
from portraitseg.live.sinks.sizes import even, letterbox
from portraitseg.optional import require

REMEDIES = {
    "linux": "load one with: sudo modprobe v4l2loopback exclusive_caps=1 (package v4l2loopback-dkms)",
    "darwin": "install OBS Studio, start its virtual camera once and stop it",
    "win32": "install OBS Studio, which brings one",
}


class VirtualCamera:
    """Frames in the first one's size, as fast as they come."""

    done = None

    def __init__(self, device: str | None, *, fps: float) -> None:
        """Be ready; the camera appears with the first frame, whose size it takes.

        Args:
            device: such as "/dev/video2"; None for the first that is free.
            fps: as other programs are told.

        Raises:
            ImportError: pyvirtualcam is not installed.
        """
        self._library = require("pyvirtualcam", extra="live")
        self._device, self._fps = device, fps
        self._camera: Any = None
        self._lock = threading.Lock()

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`."""
        with self._lock:
            picture = even(image)
            if self._camera is None:
                self._camera = self._open(picture)
            self._camera.send(np.ascontiguousarray(letterbox(picture, (self._camera.height, self._camera.width))))

    def finish(self) -> None:
        """See `Sink`."""
        self.close()

    def close(self) -> None:
        """See `Sink`."""
        with self._lock:
            if self._camera is not None:
                self._camera.close()
                self._camera = None

    def _open(self, image: UInt8) -> Any:
        height, width = image.shape[:2]
        try:
            return self._library.Camera(width, height, self._fps, fmt=self._library.PixelFormat.RGB, device=self._device)
        except (RuntimeError, OSError, ValueError) as error:
            remedy = REMEDIES.get(sys.platform, "install one that pyvirtualcam knows")
            raise InputError(f"there is no virtual camera to write to ({one_line(error)}); {remedy}") from error
