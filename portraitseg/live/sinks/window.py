"""A window on the screen, through OpenCV."""

import contextlib
from collections.abc import Sequence

import cv2

from portraitseg.errors import InputError
from portraitseg.image import UInt8
from portraitseg.live import display
from portraitseg.live.frames import Frame, SinkClosedError

ROW = 24  # pixels that a slider takes of the window's height
SIDE = 1280  # pixels: a window opens no larger; it can be enlarged


class Window:
    """The newest frame; keys and the window's own buttons. All of it in the main thread, as OpenCV asks."""

    done = None

    def __init__(self, title: str) -> None:
        """Begin to see whether there is a display; `show` and the first frame wait for the answer.

        Args:
            title: the window opens with the first frame, or with `show`.

        Raises:
            InputError: there is none, or this OpenCV has no windows.
        """
        self._trial = display.Trial()
        self.title = title
        self.size = (0, 0)
        self._open = False
        self._closed = False

    def show(self, width: int, height: int) -> None:
        """Open the window for frames of this size.

        Raises:
            InputError: the display does not let us.
        """
        self._trial.require()
        cv2.namedWindow(self.title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        scale = min(1.0, SIDE / max(width, height))
        self.size = max(1, round(width * scale)), max(1, round(height * scale))
        cv2.resizeWindow(self.title, *self.size)
        self._open = True

    def write(self, frame: Frame, image: UInt8) -> None:
        """See `Sink`. Shown when `poll` is called next."""
        if self._closed:
            raise SinkClosedError("the window is closed")
        if not self._open:
            self.show(image.shape[1], image.shape[0])
        try:
            cv2.imshow(self.title, cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise InputError(f"the window cannot show a picture: {error.err}; use --sink file") from error

    def poll(self, seconds: float = 0.0) -> str | None:
        """Let the window draw and give the key that was pressed: a character, as "c", "?", " "; "esc"; else None, as for arrows.

        Args:
            seconds: to wait for a key; at least a millisecond passes.

        Raises:
            SinkClosedError: the window was closed by its button.
        """
        if not self._open:
            return None
        code = cv2.waitKeyEx(max(1, round(seconds * 1000))) & 0xFFFF  # above it GTK says which modifiers are held
        if not self._seen():
            self._closed = True
            raise SinkClosedError("the window was closed")
        if not 0 < code < 0xFF:  # an arrow is 0xff51 to 0xff54, whose last byte is a letter
            return None
        return "esc" if code == 27 else chr(code)

    def add_sliders(self, sliders: Sequence[tuple[str, int, int]]) -> None:
        """Put sliders under the picture, each of a name, a place and its last place, from 0; the window grows by them."""
        for name, place, last in sliders:
            cv2.createTrackbar(name, self.title, place, last, lambda place: None)
        cv2.resizeWindow(self.title, self.size[0], self.size[1] + ROW * len(sliders))

    def slider(self, name: str) -> int:
        """Where a slider stands."""
        return int(cv2.getTrackbarPos(name, self.title))

    def move_slider(self, name: str, place: int) -> None:
        """Put a slider elsewhere."""
        cv2.setTrackbarPos(name, self.title, place)

    def finish(self) -> None:
        """See `Sink`."""
        self.close()

    def close(self) -> None:
        """See `Sink`; in the main thread, too."""
        if not self._open:
            self._trial.close()
        elif not self._closed:
            with contextlib.suppress(cv2.error):  # it was closed by its button
                cv2.destroyWindow(self.title)
                cv2.waitKey(1)  # only now it goes
        self._closed = True

    def _seen(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # Qt, once the last window is closed
            return False
