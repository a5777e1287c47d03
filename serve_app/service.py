"""How an answer is composed of the deployments, on one bundle from beginning to end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, ReplicaUnavailableError

from llmrec.config import ServingConfig
from serve_app.errors import ApiError
from serve_app.messages import (
    Candidates,
    EncodedTexts,
    EncoderClient,
    ModelDescription,
    RankedItems,
    RankerClient,
    RequestUser,
    RetrieverClient,
    TextKind,
)
from serve_app.schemas import UserRequest

P = ParamSpec("P")
T = TypeVar("T")
#: A replica that died or is being replaced: another one answers the same question.
REPLICA_GONE = (RayActorError, DeploymentUnavailableError, ReplicaUnavailableError)
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.5)


class HandleClient:
    """A Serve handle seen as the object behind it: `handle.method(…)` is awaited."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call: Callable[..., Awaitable[Any]] = getattr(self._handle, method).remote
        return call


@dataclass(frozen=True)
class RecommendationService:
    """The flow Encoder → Retriever → Ranker. All calls are repeatable, so a dead replica costs time, not an answer."""

    encoder: EncoderClient
    retriever: RetrieverClient
    ranker: RankerClient
    config: ServingConfig

    async def recommend(self, request: UserRequest, k: int, exclude: list[str]) -> RankedItems:
        """The best `k` items, at most."""
        user, now = await self._request_user(request), self._now()
        version: str | None = None
        async for _ in self._attempts():
            found = await self._call(self.retriever.retrieve, user, tuple(exclude), now, version)
            if isinstance(found, Candidates):
                listed = await self._call(self.ranker.order, user, found, k)
                if isinstance(listed, RankedItems):
                    return listed
                version = next(iter(listed.held), None)  # the ranker is behind or ahead: again, on what it holds
            else:
                version = None
        raise AssertionError("unreachable: attempts end by raising")

    async def rank(self, request: UserRequest, candidates: list[str]) -> RankedItems:
        """All known candidates, best first."""
        user, now = await self._request_user(request), self._now()
        async for _ in self._attempts():
            ranked = await self._call(self.ranker.rank, user, candidates, now)
            if isinstance(ranked, RankedItems):
                return ranked
        raise AssertionError("unreachable: attempts end by raising")

    async def encode(self, texts: list[str], kind: TextKind) -> EncodedTexts:
        """EncodedTexts of `texts`."""
        return await self._call(self.encoder.encode, texts, kind)

    async def similar(self, item_id: str, k: int) -> RankedItems:
        """Items near to `item_id`; ApiError 404 where the bundle does not know it."""
        found = await self._call(self.retriever.similar, item_id, k)
        if found.provenance.unknown:
            raise ApiError(404, "unknown_item", f"bundle {found.provenance.bundle} knows no item of that id")
        return found

    async def describe(self) -> ModelDescription:
        """What the retriever serves."""
        return await self._call(self.retriever.describe)

    async def ready(self, patience_s: float = 2.0) -> dict[str, str]:
        """Per deployment `ok` or what is wrong with it."""
        parts = {"encoder": self.encoder.describe, "retriever": self.retriever.describe, "ranker": self.ranker.describe}
        states = await asyncio.gather(*(_state(describe, patience_s) for describe in parts.values()))
        return dict(zip(parts, states, strict=True))

    def _now(self) -> int | None:
        return int(time.time() * 1000) if self.config.clock == "wall" else None

    async def _request_user(self, request: UserRequest) -> RequestUser:
        user = RequestUser(request.user_id, tuple(request.liked_items), context=request.context)
        if request.text is None or not request.text.strip():
            return user
        # as a document: what users wrote is what profiles were made of in training
        encoded = await self.encode([request.text], "document")
        return replace(user, vector=encoded.vectors[0], encoder=encoded.encoder)

    async def _call(self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        async for _ in self._attempts():
            try:
                return await method(*args, **kwargs)
            except BackPressureError:
                raise self._busy(429, "overloaded", "too many requests are waiting") from None
            except REPLICA_GONE:
                continue
        raise AssertionError("unreachable: attempts end by raising")

    async def _attempts(self) -> AsyncIterator[int]:
        """Attempts with growing pauses for half of the request's time, then ApiError 503."""
        deadline = time.monotonic() + self.config.request_timeout_s / 2
        attempt = 0
        while time.monotonic() < deadline:
            yield attempt
            await asyncio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1
        raise self._busy(503, "unavailable", "replicas are being replaced")

    def _busy(self, status: int, code: str, message: str) -> ApiError:
        wait = self.config.retry_after_s
        return ApiError(status, code, f"{message}; try again in {wait} s", headers={"Retry-After": str(wait)})


async def _state(describe: Callable[[], Awaitable[object]], patience_s: float) -> str:
    try:
        async with asyncio.timeout(patience_s):
            await describe()
    except TimeoutError:
        return f"no answer within {patience_s:g} s"
    except Exception as error:  # readiness reports whatever is wrong
        return type(error).__name__
    return "ok"
