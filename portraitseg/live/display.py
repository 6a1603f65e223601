"""Whether an OpenCV window can be opened: without a display, trying it aborts the process, without an exception."""

import os
import subprocess
import sys
from pathlib import Path

import cv2

from portraitseg.errors import InputError

REMEDY = "use --sink file --out FILE instead"
LIMIT = 20.0  # seconds for the trial
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
WINDOW = "import cv2; cv2.namedWindow('trial', cv2.WINDOW_NORMAL); cv2.waitKey(1); cv2.destroyAllWindows()"


class Trial:
    """A process that opens a window, unseen, and may die of it: started at once, so that other things can be loaded meanwhile."""

    def __init__(self) -> None:
        """Start it, where nothing speaks against it from the first.

        Raises:
            InputError: this OpenCV has no windows, or there is no display.
        """
        if not cv2.currentUIFramework():
            raise _refusal("this OpenCV is one without windows (opencv-python-headless, or it was installed last)")
        if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise _refusal("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")
        _prepare_qt()
        quiet = subprocess.DEVNULL
        self._child = subprocess.Popen([sys.executable, "-c", WINDOW], stdin=quiet, stdout=quiet, stderr=quiet)

    def require(self) -> None:
        """Wait for its end.

        Raises:
            InputError: it could not open a window.
        """
        try:
            code = self._child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise _refusal(f"the display {_display()} does not answer within {LIMIT:g} s") from None
        if code:
            raise _refusal(f"the display {_display()} does not let us")

    def close(self) -> None:
        """End it, if nobody waited for it."""
        self._child.kill()
        self._child.wait()


def _prepare_qt() -> None:
    """Make Qt, which OpenCV's wheels bring without fonts, find the system's and be quiet about others."""
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    if not Path(os.environ.get("QT_QPA_FONTDIR", "")).is_dir():  # OpenCV sets it to a folder that it does not have
        font = next((font for folder in FONTS for font in sorted(Path(folder).rglob("*Sans.ttf"))), None)
        os.environ["QT_QPA_FONTDIR"] = str(font.parent) if font else ""


def _refusal(reason: str) -> InputError:
    return InputError(f"no window can be opened: {reason}; {REMEDY}")


def _display() -> str:
    return os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "of this machine"
