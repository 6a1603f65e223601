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
TRIAL = "import cv2; cv2.namedWindow('trial', cv2.WINDOW_NORMAL); cv2.waitKey(1); cv2.destroyAllWindows()"


def require() -> None:
    """See that there is a display, and make Qt, which OpenCV's wheels bring without fonts, find the system's and be quiet about others.

    Raises:
        InputError: there is none, or this OpenCV has no windows.
    """
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    if not Path(os.environ.get("QT_QPA_FONTDIR", "")).is_dir():  # OpenCV sets it to a folder that it does not have
        font = next((font for folder in FONTS for font in sorted(Path(folder).rglob("*Sans.ttf"))), None)
        os.environ["QT_QPA_FONTDIR"] = str(font.parent) if font else ""
    refusal = refused()
    if refusal:
        raise InputError(f"no window can be opened: {refusal}; {REMEDY}")


def refused() -> str | None:
    """Why no window can be opened; None if one can. In the end one is opened, unseen, by a process that may die of it."""
    if not cv2.currentUIFramework():
        return "this OpenCV is one without windows (opencv-python-headless, or it was installed last)"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    try:
        trial = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"the display {_display()} does not answer within {LIMIT:g} s"
    return f"the display {_display()} does not let us" if trial.returncode else None


def _display() -> str:
    return os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or "of this machine"
