"""What benchmarks share."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil


def private_bytes(process: psutil.Process) -> int:
    """Resident bytes that are the process's own."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


@contextmanager
def sampled(sample: Callable[[], None]) -> Iterator[None]:
    """Call `sample` now, and ten times a second while the block runs."""
    ended = threading.Event()
    sample()

    def watch() -> None:
        while not ended.wait(0.1):
            sample()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield
    ended.set()
    watcher.join()
