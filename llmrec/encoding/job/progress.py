"""What a running encode shows: texts/s, tokens/s, cache hits, time left."""

import logging
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger(__name__)

_EVERY_S = 10.0


class EncodeProgress:
    """A bar on a terminal, a log line every ten seconds elsewhere. A context manager."""

    def __init__(self, to_encode: int, cache_hits: int, stage: str = "encode") -> None:
        self._total, self._hits, self._stage = to_encode, cache_hits, stage
        self._said = time.monotonic()
        self._texts = self._tokens = 0
        self._seconds = 0.0
        self._bar = Progress(
            TextColumn(stage), BarColumn(), TextColumn("{task.completed}/{task.total} texts · {task.fields[rates]}"),
            TimeRemainingColumn(), disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._bar.add_task(stage, total=to_encode, rates="")

    def add(self, n_texts: int, n_tokens: int, seconds: float) -> None:
        """Count one finished batch; `seconds` since the first one began, so that the engine's start is not in rates."""
        self._texts += n_texts
        self._tokens += n_tokens
        self._seconds = max(seconds, 1e-9)
        self._bar.update(self._task, completed=self._texts, rates=self._rates())
        if self._bar.disable and time.monotonic() - self._said >= _EVERY_S:
            self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        log.info(
            "%s: %d of %d texts, %s, %.0f s left", self._stage, self._texts, self._total, self._rates(), self._left()
        )

    def _rates(self) -> str:
        texts, tokens = (n / self._seconds if self._seconds else 0.0 for n in (self._texts, self._tokens))
        return f"{texts:.0f} texts/s, {tokens:.0f} tokens/s, {self._hits} cache hits"

    def _left(self) -> float:
        return (self._total - self._texts) * self._seconds / max(self._texts, 1)

    def __enter__(self) -> "EncodeProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._total:
            self._say()
