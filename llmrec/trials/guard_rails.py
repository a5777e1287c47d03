"""When an arm must stop: its last requests, judged by an experiment's `guards`."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from llmrec.config.serving.experiments import GuardsConfig


@dataclass
class RecentRequests:
    """Of one arm: the last `guards.least` requests, seconds and whether they failed, and of its lists the feedback."""

    guards: GuardsConfig
    _last: deque[tuple[float, bool]] = field(default_factory=deque)

    def seen(self, seconds: float, failed: bool) -> None:
        """Another request ended."""
        self._last.append((seconds, failed))
        if len(self._last) > self.guards.least:
            self._last.popleft()

    def broken(self) -> str | None:
        """Which guard it breaks, with what was found; None: it holds, or too little was seen."""
        guards = self.guards
        if len(self._last) < guards.least:
            return None
        errors = float(np.mean([failed for _, failed in self._last]))
        if guards.max_error_rate is not None and errors > guards.max_error_rate:
            return f"error rate {errors:.3f} of the last {guards.least} requests, at most {guards.max_error_rate:g}"
        p95 = 1000 * float(np.percentile([seconds for seconds, _ in self._last], 95))
        if guards.max_p95_ms is not None and p95 > guards.max_p95_ms:
            return f"p95 {p95:.0f} ms of the last {guards.least} requests, at most {guards.max_p95_ms:g}"
        return None


def starved(guards: GuardsConfig, lists: int, with_feedback: int) -> str | None:
    """Why the arm must stop whose `lists`, the last ones old enough to judge, got so little feedback; or None."""
    if guards.min_feedback_rate is None or lists < guards.least:
        return None
    rate = with_feedback / lists
    if rate >= guards.min_feedback_rate:
        return None
    return f"feedback on {rate:.3f} of the last {lists} settled lists, at least {guards.min_feedback_rate:g}"
