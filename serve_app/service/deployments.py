"""The deployments as the service calls them: each call with a time-out, repeated, measured."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from cachetools import TTLCache

from llmrec.config import ServingConfig
from serve_app.handles import Patience, call
from serve_app.messages import EncoderClient, RankerClient, RecommenderClient, RetrieverClient
from serve_app.metrics import Metrics

P = ParamSpec("P")
T = TypeVar("T")
#: What of the deployments is remembered between calls: their state and the bundle's description, for so many seconds.
_REMEMBERED_S = 1.0


@dataclass(frozen=True)
class Deployments:
    """All calls are repeatable, so a dead replica costs time, not an answer."""

    encoder: EncoderClient
    retriever: RetrieverClient
    ranker: RankerClient
    fused: RecommenderClient | None  # layout `fused`: retriever and ranker are this one, too
    config: ServingConfig
    metrics: Metrics
    _remembered: TTLCache[str, Any] = field(default_factory=lambda: TTLCache(4, _REMEMBERED_S))

    async def call(self, stage: str, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `method` answers, with the patience of a recommendation; see `handles.call`."""
        return await call(stage, self.metrics, self.patience(), method, *args, **kwargs)

    async def call_within(
        self, limit_s: float, stage: str, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `method` answers within `limit_s`. Raises what `call` does, TimeoutError too."""
        patience = Patience(limit_s, limit_s, self.config.retry_after_s)
        return await asyncio.wait_for(call(stage, self.metrics, patience, method, *args, **kwargs), limit_s)

    def patience(self) -> Patience:
        """How long a recommendation waits."""
        config = self.config
        return Patience(config.hop_timeout_s, config.request_timeout_s * 2 / 3, config.retry_after_s)

    async def remember(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """One question at a time, whoever asks: open paths cost the deployments nothing more."""
        if name not in self._remembered:
            self._remembered[name] = asyncio.ensure_future(ask())
        found: T = await asyncio.shield(self._remembered[name])
        return found
