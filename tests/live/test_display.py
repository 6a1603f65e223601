"""Whether a window can be opened, asked without dying of it; and the window itself, on a display of its own where Xvfb is installed."""

import ctypes
import os
import shutil
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from portraitseg.errors import InputError
from portraitseg.live import display
from portraitseg.live.frames import Frame
from portraitseg.live.sinks import open_sink

needs_windows = pytest.mark.skipif(not cv2.currentUIFramework(), reason="this OpenCV has no windows")
needs_xvfb = pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="Xvfb or xdotool is not installed")


def refusal() -> str:
    with pytest.raises(InputError) as error:
        sink = open_sink("window", fps=30)
        try:
            image = np.zeros((48, 64, 3), np.uint8)
            sink.write(Frame(image=image, time=0.0, index=0), image)
        finally:
            sink.close()
    assert "\n" not in str(error.value)
    assert "--sink file" in str(error.value)
    return str(error.value)


def test_an_opencv_without_windows_is_said(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    assert "headless" in refusal()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is Linux's")
def test_no_display_is_said_without_trying(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert "no display" in refusal()


@needs_windows
def test_a_display_that_is_not_there_is_said_and_nothing_aborts(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert ":987" in refusal()


def test_a_display_that_does_not_answer_is_said(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(display, "WINDOW", "import time; time.sleep(30)")
    monkeypatch.setattr(display, "LIMIT", 0.3)
    assert "does not answer" in refusal()


def test_a_window_that_never_opened_leaves_no_process(monkeypatch):
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(display, "WINDOW", "import time; time.sleep(30)")
    sink = open_sink("window", fps=30)
    sink.close()
    sink.close()
    assert sink._trial._child.returncode is not None


@pytest.fixture
def screen():
    """A display without a screen; its name."""
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"], pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        yield f":{pipe.readline().strip()}"
    server.terminate()
    server.wait(10)


VIEWER = """
import sys
from portraitseg.live.frames import SinkClosedError
from portraitseg.live.sinks import open_sink
from portraitseg.live.sources import open_source

sink = open_sink("window", fps=30, title="viewer")
try:
    for frame in open_source("synthetic:320x240@30"):
        sink.write(frame, frame.image)
        key = sink.poll()
        if frame.index == 5:
            print("shown", flush=True)
        if key:
            print("key", key, flush=True)
        if key == "esc":
            break
except SinkClosedError as error:
    print("closed:", error, flush=True)
sink.finish()
sink.close()
print("end", flush=True)
"""


@pytest.fixture
def viewer(screen):
    """A process that shows the drawn person, and what sends keys and clicks to it."""
    surroundings = {**os.environ, "DISPLAY": screen}
    process = subprocess.Popen([sys.executable, "-c", VIEWER], env=surroundings, stdout=subprocess.PIPE, text=True)
    overdue = threading.Timer(30, process.kill)  # then what is read from it ends
    overdue.start()
    assert process.stdout.readline() == "shown\n"

    def send(*words):
        return subprocess.run(["xdotool", *words], env=surroundings, capture_output=True, text=True, check=True).stdout.split()

    yield process, send, screen
    overdue.cancel()
    process.kill()
    process.wait(10)


@needs_windows
@needs_xvfb
def test_keys_come_through_and_escape_ends(viewer):
    process, send, _ = viewer
    window = send("search", "--name", "^viewer$")[0]
    send("windowfocus", window)
    for key, told in (("c", "c"), ("question", "?"), ("space", " ")):
        send("key", "Up", "Left", "Shift_L", "F1")  # whose last bytes are R, Q and others
        send("key", key)
        assert process.stdout.readline() == f"key {told}\n"
    send("key", "Escape")
    assert process.stdout.readline() == "key esc\n"
    assert process.stdout.readline() == "end\n"
    assert process.wait(10) == 0


class Message(ctypes.Structure):
    """X11's XClientMessageEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 20),  # five, and what fills the union of all events
    )


def press_x(screen: str, window: int) -> None:
    """What a window manager sends when the window's X is pressed."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(screen.encode()))
    protocols, delete = (x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    message = Message(type=33, window=window, message_type=protocols, format=32)
    message.data[0] = delete
    x11.XSendEvent(display, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    x11.XCloseDisplay(display)


@needs_windows
@needs_xvfb
def test_closing_the_window_ends_well(viewer):
    process, send, screen = viewer
    press_x(screen, int(send("search", "--name", "^viewer$")[0]))
    rest = process.stdout.read().splitlines()
    assert rest == ["closed: the window was closed", "end"]
    assert process.wait(10) == 0
