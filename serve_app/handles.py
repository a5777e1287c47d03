"""Calls from one deployment to another: each with a time-out, repeated where a replica died or does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from serve_app.errors import try_again
from serve_app.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")
#: A replica that died, is being replaced or is frozen: another one answers the same question.
REPLICA_GONE = (RayActorError, DeploymentUnavailableError, ReplicaUnavailableError, TimeoutError)
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5)


class HandleClient:
    """A Serve handle seen as the object behind it: `handle.method(…)` is awaited, and cancelled with who awaits it."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            response = getattr(self._handle, method).remote(*args)
            try:
                return await response
            except asyncio.CancelledError:
                response.cancel()  # gives its place in the replica's queue back
                raise

        return call


@dataclass(frozen=True)
class Patience:
    """How long one call may take, how long calls are repeated in all, and when a client may try again. Seconds."""

    call_s: float
    total_s: float
    retry_after_s: int

    async def attempts(self) -> AsyncIterator[int]:
        """Attempts with growing pauses for `total_s`, then ApiError 503."""
        deadline = time.monotonic() + self.total_s
        attempt = 0
        while time.monotonic() < deadline:
            yield attempt
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
        raise try_again(503, "unavailable", "replicas are being replaced", self.retry_after_s)


async def call(
    stage: str, metrics: Metrics, patience: Patience, method: Callable[P, Awaitable[T]],
    *args: P.args, **kwargs: P.kwargs,
) -> T:  # fmt: skip
    """What `method` answers. Raises ApiError 429 where its queue is full, 503 where nobody answers in time."""
    async for attempt in patience.attempts():
        if attempt:
            metrics.retries.labels(stage).inc()
        try:
            with metrics.stage(stage):
                async with asyncio.timeout(patience.call_s):
                    return await method(*args, **kwargs)
        except BackPressureError:
            wait_s = patience.retry_after_s
            raise try_again(429, "overloaded", "too many requests are waiting", wait_s) from None
        except REPLICA_GONE:
            continue
    raise AssertionError("unreachable: attempts end by raising")
