"""Many may pass at once, or one who changes what they all read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """A lock for many readers and a writer, who does not wait for readers that come after it."""

    def __init__(self) -> None:
        self._changed, self._inside, self._closed = threading.Condition(), 0, False
        self._mine = threading.local()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """While others may pass, too; a thread that is inside may pass again."""
        depth: int = getattr(self._mine, "depth", 0)
        with self._changed:
            if not depth:
                self._changed.wait_for(lambda: not self._closed)
                self._inside += 1
        self._mine.depth = depth + 1
        try:
            yield
        finally:
            self._mine.depth = depth
            if not depth:
                with self._changed:
                    self._inside -= 1
                    self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """While nobody is inside. One thread at a time."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._closed = False
                self._changed.notify_all()
