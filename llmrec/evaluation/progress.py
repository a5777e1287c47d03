"""What an evaluation is at, in the log: each step once, and again while it lasts."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
#: Seconds after which a step is told again: nobody should wonder whether a long fit hangs.
EVERY_S = 10.0


@contextmanager
def told(every_s: float = EVERY_S) -> Iterator[Progress]:
    """Log what is called with, and every so many seconds that it still goes on."""
    ended, one_at_a_time = threading.Event(), threading.Lock()
    current, began = "", time.monotonic()

    def say(words: str) -> None:
        nonlocal current, began
        with one_at_a_time:
            current, began = words, time.monotonic()
            logger.info("%s", words)

    def go_on() -> None:
        while not ended.wait(every_s):
            with one_at_a_time:
                if current:
                    logger.info("%s: %.0f s", current, time.monotonic() - began)

    watcher = threading.Thread(target=go_on, daemon=True)
    watcher.start()
    try:
        yield say
    finally:
        ended.set()
        watcher.join()
