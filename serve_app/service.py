"""How an answer is composed of the deployments, on one bundle from beginning to end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, Self, TypeVar

from cachetools import TTLCache
from ray.serve.exceptions import BackPressureError

from llmrec.config import ServingConfig
from llmrec.reasons import sentences
from serve_app.errors import ApiError
from serve_app.handles import Patience, call
from serve_app.intake import Intake
from serve_app.item_cards import ItemCard
from serve_app.messages import (
    Candidates,
    EncodedTexts,
    EncoderClient,
    Floats,
    FoundItems,
    ModelDescription,
    NotHeld,
    RankedItems,
    RankerClient,
    RecommenderClient,
    RequestUser,
    RetrieverClient,
    TextKind,
    TextUse,
    Wish,
)
from serve_app.metrics import Metrics
from serve_app.middleware.traffic import Traffic
from serve_app.schemas import RecommendRequest, SearchRequest, UserRequest

P = ParamSpec("P")
T = TypeVar("T")
#: What of the deployments is remembered between calls: their state and the bundle's description, for so many seconds.
_REMEMBERED_S = 1.0


@dataclass(frozen=True)
class RecommendationService:
    """The flow Encoder → Retriever → Ranker, the last two in one replica or apart.

    All calls are repeatable, so a dead replica costs time, not an answer.
    """

    encoder: EncoderClient
    retriever: RetrieverClient
    ranker: RankerClient
    config: ServingConfig
    traffic: Traffic
    metrics: Metrics
    fused: RecommenderClient | None = None  # layout `fused`: retriever and ranker are this one, too
    intake: Intake | None = None  # None where live events are off
    _remembered: TTLCache[str, Any] = field(default_factory=lambda: TTLCache(4, _REMEMBERED_S))

    @classmethod
    def over(
        cls,
        encoder: EncoderClient,
        retriever: RetrieverClient,
        ranker: RankerClient,
        config: ServingConfig,
        fused: RecommenderClient | None = None,
        intake: Intake | None = None,
    ) -> Self:
        """The service of one process, nothing being under way."""
        traffic = Traffic(config)
        return cls(encoder, retriever, ranker, config, traffic, Metrics(traffic), fused, intake)

    async def recommend(self, request: RecommendRequest) -> RankedItems:
        """The best items, as many as are asked for, at most."""
        now = self._now()
        user, skipped = await self._user(request, now, self.config.need if request.need is None else request.need)
        user = replace(user, only=request.restriction())
        both = self._in_one_call if self.fused else self._in_two_calls
        ranked, n_candidates = await both(user, tuple(request.exclude), now, request.k)
        self.metrics.candidates.observe(n_candidates)
        return self._answer(ranked, skipped)

    async def _in_one_call(
        self, user: RequestUser, exclude: tuple[str, ...], now: int | None, k: int
    ) -> tuple[RankedItems, int]:
        assert self.fused is not None
        async for _ in self._patience().attempts():
            found = await self._call("recommend", self.fused.recommend, user, exclude, now, k)
            if not isinstance(found, NotHeld):
                return found
        raise AssertionError("unreachable: attempts end by raising")

    async def _in_two_calls(
        self, user: RequestUser, exclude: tuple[str, ...], now: int | None, k: int
    ) -> tuple[RankedItems, int]:
        version: str | None = None
        async for _ in self._patience().attempts():
            found = await self._call("retrieve", self.retriever.retrieve, user, exclude, now, version)
            version = None
            if isinstance(found, Candidates):
                ranked = await self._call("order", self.ranker.order, user, found, k)
                if isinstance(ranked, RankedItems):
                    return ranked, found.count
                version = next(iter(ranked.held), None)  # the ranker is behind or ahead: again, on what it holds
        raise AssertionError("unreachable: attempts end by raising")

    async def rank(self, request: UserRequest, candidates: list[str]) -> RankedItems:
        """All known candidates, best first."""
        now = self._now()
        user, skipped = await self._user(request, now)
        async for _ in self._patience().attempts():
            ranked = await self._call("rank", self.ranker.rank, user, candidates, now)
            if isinstance(ranked, RankedItems):
                return self._answer(ranked, skipped)
        raise AssertionError("unreachable: attempts end by raising")

    async def search(self, request: SearchRequest) -> FoundItems:
        """Items by words; ApiError 404 where the bundle has no search index."""
        wish, encoder, skipped = await self._wish(request.text, 1.0, None)
        user = RequestUser(request.user_id, encoder=encoder, wish=wish, only=request.restriction())
        async for _ in self._patience().attempts():
            found = await self._call("search", self.retriever.search, user, self._now(), request.k)
            if found is None:
                raise ApiError(404, "no_search", "the bundle has no search index; expected one: assemble it again")
            if isinstance(found, FoundItems):
                if skipped is not None:
                    found = replace(found, provenance=replace(found.provenance, reason=skipped))
                self.metrics.answered(found.provenance)
                return found
        raise AssertionError("unreachable: attempts end by raising")

    async def encode(self, texts: list[str], kind: TextKind) -> EncodedTexts:
        """Vectors of `texts`, after those that recommendations wait for."""
        limit = self.config.request_timeout_s
        patience = Patience(limit, limit / 2, self.config.retry_after_s)
        return await call("encode", self.metrics, patience, self.encoder.encode, texts, kind, False)

    async def similar(self, item_id: str, k: int) -> RankedItems:
        """Items near to `item_id`; ApiError 404 where the bundle does not know it."""
        found = await self._call("similar", self.retriever.similar, item_id, k)
        if found.provenance.unknown:
            raise ApiError(404, "unknown_item", f"bundle {found.provenance.bundle} knows no item of that id")
        return found

    async def cards(self, ids: list[str]) -> list[ItemCard]:
        """What is to be shown of items, in order; of unknown ones their ids."""
        return await self._call("cards", self.retriever.cards, ids)

    async def some_users(self) -> list[str]:
        """Ids of users to choose from; none where the retriever does not answer."""
        return await self._remember("some_users", self._some_users_or_none)

    async def _some_users_or_none(self) -> list[str]:
        try:
            async with asyncio.timeout(1):
                return await self.retriever.some_users()
        except Exception:  # the form is shown, whatever the retriever's trouble
            return []

    async def describe(self) -> ModelDescription:
        """What the retriever serves."""
        return await self._call("describe", self.retriever.describe)

    async def bundle(self) -> ModelDescription | None:
        """What the retriever served a moment ago; None where it does not answer."""
        return await self._remember("bundle", self._describe_or_none)

    async def ready(self) -> dict[str, str]:
        """Per part `ok`, `busy` (its queue is full) or what is wrong with it."""
        if self.traffic.draining:
            return {"ingress": "stopping"}
        return await self._remember("ready", self._states)

    async def _states(self) -> dict[str, str]:
        parts = {"encoder": self.encoder.describe, "retriever": self.retriever.describe, "ranker": self.ranker.describe}
        states = await asyncio.gather(*(_state(describe) for describe in parts.values()))
        return dict(zip(parts, states, strict=True))

    async def _describe_or_none(self) -> ModelDescription | None:
        try:
            async with asyncio.timeout(1):
                return await self.retriever.describe()
        except Exception:  # metrics are told, whatever the retriever's trouble
            return None

    async def _remember(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """One question at a time, whoever asks: open paths cost the deployments nothing more."""
        if name not in self._remembered:
            self._remembered[name] = asyncio.ensure_future(ask())
        found: T = await asyncio.shield(self._remembered[name])
        return found

    def _now(self) -> int | None:
        return int(time.time() * 1000) if self.config.clock == "wall" else None

    async def _user(self, request: UserRequest, now: int | None, need: float = 0.0) -> tuple[RequestUser, str | None]:
        """Who asks, and why the text, if there is one, was not encoded although it would be read."""
        user = RequestUser(
            request.user_id, tuple(request.liked_items), context=request.context, reasons=request.reasons,
            explore=request.exploration() if isinstance(request, RecommendRequest) else None,
        )  # fmt: skip
        if request.text is None or not request.text.strip():
            return user, None
        use = await self._text_use(request.user_id, now)
        if use in ("known_user", "bundle_without_text"):
            return user, "bundle_without_text" if use == "bundle_without_text" else None
        if use == "need" and need == 0:
            return user, None
        until = time.monotonic() + self.config.text_timeout_s
        user, skipped = await self._with_words(user, request.text, need, taste=use != "need")
        if use != "encode_and_read" or user.vector is None:
            return user, skipped
        user, unread = await self._with_reading(user, request.text, user.vector, until)
        return user, unread or skipped

    async def _text_use(self, user_id: str | None, now: int | None) -> TextUse:
        def ask() -> Awaitable[TextUse]:
            return self._call("text_use", self.retriever.text_use, user_id, now)

        return await (ask() if user_id is not None else self._remember("text_use", ask))

    async def _with_words(
        self, user: RequestUser, text: str, need: float, taste: bool
    ) -> tuple[RequestUser, str | None]:
        """The user with their words as a wish and, if `taste`, as what they would write in a review."""
        # as a document: what users wrote is what profiles were made of in training
        quotable = tuple(sentences(text)) if taste and user.reasons else ()
        spoken = await self._vectors([text, *(quotable if len(quotable) > 1 else ())], "document") if taste else None
        if taste and spoken is None:
            return replace(user, wish=Wish(text, need)), "encoder_unavailable"
        wish, encoder, skipped = await self._wish(text, need, spoken)
        if spoken is None:
            return replace(user, wish=wish, encoder=encoder), skipped
        of_sentences = spoken.vectors[1:] if len(quotable) > 1 else None
        return replace(
            user,
            wish=wish,
            encoder=encoder,
            vector=spoken.vectors[0],
            sentences=quotable,
            sentence_vectors=of_sentences,
        ), skipped

    async def _wish(self, text: str, need: float, spoken: EncodedTexts | None) -> tuple[Wish, str | None, str | None]:
        """The text as a need, the encoder, and why there is none. `spoken`: the text as a document, if it is known."""
        known = spoken if spoken is not None and spoken.one_prompt else await self._vectors([text], "query")
        if known is None:
            return Wish(text, need), spoken.encoder if spoken else None, "encoder_unavailable"
        return Wish(text, need, known.vectors[0]), known.encoder, None

    async def _vectors(self, texts: list[str], kind: TextKind) -> EncodedTexts | None:
        """Vectors of the texts; None where the encoder does not give them in time."""
        limit = self.config.text_timeout_s
        patience = Patience(limit, limit, self.config.retry_after_s)
        try:
            return await asyncio.wait_for(
                call("text", self.metrics, patience, self.encoder.encode, texts, kind, True), limit
            )
        except TimeoutError:
            return None
        except ApiError as error:
            if error.status_code != 503:
                raise
            return None

    async def _with_reading(
        self, user: RequestUser, text: str, vector: Floats, until: float
    ) -> tuple[RequestUser, str | None]:
        """Who asks, with what the bundle's reader reads in what is left of the text's time; else why not."""
        left = max(until - time.monotonic(), 0.001)
        patience = Patience(left, left, self.config.retry_after_s)
        try:
            read = await asyncio.wait_for(
                call("read", self.metrics, patience, self.retriever.read, text, vector, user.encoder), left
            )
        except TimeoutError:
            return user, "reader_unavailable"
        except ApiError as error:
            if error.status_code != 503:
                raise
            return user, "reader_unavailable"
        if isinstance(read, NotHeld) or read.row is None:
            return user, "reader_unavailable" if isinstance(read, NotHeld) else "reader_not_served"
        return replace(user, words=read), None

    def _answer(self, ranked: RankedItems, skipped: str | None) -> RankedItems:
        """`ranked`, saying so where a text was not read that would have made it personal."""
        if skipped is not None and (ranked.provenance.basis != "history" or ranked.provenance.reason is not None):
            ranked = replace(ranked, provenance=replace(ranked.provenance, reason=skipped))
        self.metrics.answered(ranked.provenance)
        return ranked

    async def _call(self, stage: str, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        return await call(stage, self.metrics, self._patience(), method, *args, **kwargs)

    def _patience(self) -> Patience:
        config = self.config
        return Patience(config.hop_timeout_s, config.request_timeout_s / 2, config.retry_after_s)


async def _state(describe: Callable[[], Awaitable[object]], patience_s: float = 2.0) -> str:
    try:
        async with asyncio.timeout(patience_s):
            await describe()
    except TimeoutError:
        return f"no answer within {patience_s:g} s"
    except BackPressureError:
        return "busy"
    except Exception as error:  # readiness reports whatever is wrong
        return type(error).__name__
    return "ok"
