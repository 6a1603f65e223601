"""What one stage hands to the next: a short queue between two threads."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """A bounded queue that either makes the giver wait, or forgets the oldest item for the newest.

    For live frames a queue of one item that forgets: who takes from it gets the newest. For a file, one that waits: nothing is lost.
    """

    def __init__(self, size: int, *, newest_wins: bool) -> None:
        """Make an empty channel.

        Args:
            size: items that may wait in it.
            newest_wins: when full, drop the oldest item; otherwise `put` waits.
        """
        self._size, self._newest_wins = size, newest_wins
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Hand an item on; False if nobody takes items any more."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                if self._newest_wins:
                    self._items.popleft()
                else:
                    self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """The giver's last word: what waits is still taken, then the taker's loop ends, or `error` is raised there."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def drop(self) -> None:
        """The taker's last word: what waits is forgotten, and a giver that waits comes back with False."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def take(self, seconds: float | None = None) -> T | None:
        """The next item; None if the channel has ended, or if none came within `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, seconds)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            return None

    @property
    def ended(self) -> bool:
        """Nothing waits and nothing will come."""
        with self._changed:
            return self._closed and not self._items and self._error is None

    def __iter__(self) -> Iterator[T]:
        """Item after item, until the channel ends."""
        while (item := self.take()) is not None:
            yield item
