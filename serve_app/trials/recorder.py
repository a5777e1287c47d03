"""What was shown into the exposure log, in the background, and what came back joined to it."""

import asyncio
import contextlib
import logging
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from llmrec.config import ServingConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.config.serving.experiments import ExposuresConfig
from llmrec.exposures import ExposureLog, Said, ServedList
from llmrec.exposures.exposure_log import LogError
from llmrec.exposures.paths import exposures_path
from llmrec.live.event_log import LogUnavailableError, open_event_log
from serve_app.errors import ApiError
from serve_app.intake import IntakeSettings
from serve_app.messages import RankedItems

logger = logging.getLogger("ray.serve.llmrec")
T = TypeVar("T")
#: Lists that may wait for the disk, events joined at once, and the seconds between two looks at what is too old.
_WAITING, _EVENTS, _PRUNE_S = 10_000, 5_000, 60.0


@dataclass(frozen=True)
class ExposureSettings:
    """Where the log lies, and that of the events it is joined with."""

    path: str
    events: str
    config: ExposuresConfig
    outcome: OutcomeConfig

    @classmethod
    def of(cls, serving: ServingConfig, intake: IntakeSettings | None) -> "ExposureSettings | None":
        """Those of a configuration; None where lists are not logged."""
        if not serving.exposures.enabled or intake is None:
            return None
        return cls(
            exposures_path(serving.exposures, intake.path), intake.path, serving.exposures, intake.corpus.outcome
        )


class Recorder:
    """One an ingress. Answers wait for nothing; what cannot be written in time is counted and let go."""

    def __init__(self, settings: ExposureSettings) -> None:
        self.config, self._outcome = settings.config, settings.outcome
        self._thread = ThreadPoolExecutor(1, "exposure-log")
        self.log, self._events = ExposureLog(settings.path), open_event_log(settings.events)
        self._waiting: list[ServedList] = []
        self.logged = self.dropped = 0
        self._pruned = 0.0
        self.stopped = self.log.stopped()

    def record(self, answer: RankedItems, user: str | None, now: int, served: ServedList) -> RankedItems:
        """The answer with the id of its list, if chance says that it is logged. `served`: policy, experiment, teams."""
        if random.random() >= self.config.sample:
            return answer
        if len(self._waiting) >= _WAITING:
            self.dropped += 1
            return answer
        told = replace(served, list_id=uuid.uuid4().hex, user=user or "", time=now, bundle=answer.provenance.bundle,
                       items=tuple(answer.item_ids), propensities=tuple(answer.propensities))  # fmt: skip
        if (drawn := answer.explored) is not None:
            contexts = np.asarray(drawn.contexts, np.float32)
            told = replace(told, shares=tuple(drawn.shares.tolist()), best=tuple(drawn.best.tolist()))
            told = replace(told, contexts=contexts, terms=answer.terms)
        self._waiting.append(told)
        return replace(answer, list_id=told.list_id)

    async def say(self, said: Said) -> int:
        """On the disk when this returns: 1, or 0 where it was there. Raises ApiError 503 where it cannot be written."""
        try:
            return await self._run(self.log.append, (), (said,))
        except LogError as error:
            logger.error("exposures: cannot write the log %s: %s", self.log.path, error)
            raise ApiError(503, "log_unavailable", "the log cannot be written; nothing was logged, try again") from None

    async def stop(self, experiment: str, arm: str, why: str) -> None:
        """End an arm for good, here at once and everywhere a moment later."""
        logger.error("experiment %s: arm %s is stopped: %s", experiment, arm, why)
        self.stopped = {(experiment, arm): why, **self.stopped}
        await self._run(self.log.stop, experiment, arm, why, int(time.time() * 1000))

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """While the application runs the log is written; what waits at the end is written then."""
        task = asyncio.create_task(self._write())
        yield
        task.cancel()
        with contextlib.suppress(LogError, LogUnavailableError):
            await self._run(self.flush)

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(self.config.flush_ms / 1000)
            try:
                await self._run(self.flush)
            except Exception as error:  # the disk is away for a while: what waits is kept
                logger.error("exposures: cannot write the log: %s: %s", type(error).__name__, error)

    def flush(self) -> None:
        """Write what waits, join what came back, see which arms others stopped, and let go of what is too old."""
        window = int(self.config.window_s * 1000)
        some = self._waiting[:_WAITING]
        self.log.append(some)
        del self._waiting[: len(some)]
        self.logged += len(some)
        self.log.join_said(window)
        while entries := self._events.since(self.log.joined(), _EVENTS):
            self.log.join_events(entries, window, entries[-1].seq, self._outcome)
        self.stopped = self.log.stopped() | self.stopped
        if time.monotonic() - self._pruned > _PRUNE_S:
            self._pruned = time.monotonic()
            oldest = int((time.time() - 86_400 * self.config.keep_days) * 1000)
            self.log.prune(self.config.max_lists, oldest)

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
