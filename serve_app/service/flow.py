"""How an answer is composed of the deployments, on one bundle from beginning to end."""

import time
from dataclasses import dataclass, replace
from typing import Self

from llmrec.config import ServingConfig
from serve_app.errors import ApiError
from serve_app.handles import Patience, call
from serve_app.intake import Intake
from serve_app.messages import (
    Candidates,
    EncodedTexts,
    EncoderClient,
    FoundItems,
    ItemCard,
    NotHeld,
    RankedItems,
    RankerClient,
    RecommenderClient,
    RequestUser,
    RetrieverClient,
    TextKind,
)
from serve_app.metrics import Metrics
from serve_app.middleware.traffic import Traffic
from serve_app.schemas.requests import RecommendRequest, SearchRequest, UserRequest
from serve_app.service.deployments import Deployments
from serve_app.service.overview import Overview
from serve_app.service.who_asks import WhoAsks
from serve_app.trials import Trials


@dataclass(frozen=True)
class RecommendationService:
    """The flow Encoder → Retriever → Ranker, the last two in one replica or apart."""

    deployments: Deployments
    overview: Overview
    who_asks: WhoAsks
    config: ServingConfig
    traffic: Traffic
    metrics: Metrics
    intake: Intake | None = None  # None where live events are off
    trials: Trials | None = None  # None where exposures are not logged

    @classmethod
    def over(
        cls,
        encoder: EncoderClient,
        retriever: RetrieverClient,
        ranker: RankerClient,
        config: ServingConfig,
        fused: RecommenderClient | None = None,
        intake: Intake | None = None,
        trials: Trials | None = None,
    ) -> Self:
        """The service of one process, nothing being under way. `fused`: retriever and ranker as one, where they are."""
        traffic = Traffic(config)
        metrics = Metrics(traffic)
        deployments = Deployments(encoder, retriever, ranker, fused, config, metrics)
        overview, who_asks = Overview(deployments, traffic), WhoAsks(deployments)
        return cls(deployments, overview, who_asks, config, traffic, metrics, intake, trials)

    async def recommend(self, request: RecommendRequest, bundle: str | None = None) -> RankedItems:
        """The best items, as many as are asked for, at most. `bundle`: one that replicas hold for an experiment."""
        now = self._now()
        user, skipped = await self.who_asks.of(request, now, self.config.need if request.need is None else request.need)
        user = replace(user, only=request.restriction(), bundle=bundle)
        both = self._in_one_call if self.deployments.fused else self._in_two_calls
        ranked, n_candidates = await both(user, tuple(request.exclude), now, request.k)
        self.metrics.candidates.observe(n_candidates)
        return self._answer(ranked, skipped)

    async def _in_one_call(
        self, user: RequestUser, exclude: tuple[str, ...], now: int | None, k: int
    ) -> tuple[RankedItems, int]:
        assert self.deployments.fused is not None
        async for _ in self.deployments.patience().attempts():
            found = await self.deployments.call("recommend", self.deployments.fused.recommend, user, exclude, now, k)
            if not isinstance(found, NotHeld):
                return found
        raise AssertionError("unreachable: attempts end by raising")

    async def _in_two_calls(
        self, user: RequestUser, exclude: tuple[str, ...], now: int | None, k: int
    ) -> tuple[RankedItems, int]:
        version: str | None = None
        retrieve, order = self.deployments.retriever.retrieve, self.deployments.ranker.order
        async for _ in self.deployments.patience().attempts():
            found = await self.deployments.call("retrieve", retrieve, user, exclude, now, version)
            version = None
            if isinstance(found, Candidates):
                ranked = await self.deployments.call("order", order, user, found, k)
                if isinstance(ranked, RankedItems):
                    return ranked, found.count
                version = next(iter(ranked.held), None)  # the ranker is behind or ahead: again, on what it holds
        raise AssertionError("unreachable: attempts end by raising")

    async def rank(self, request: UserRequest, candidates: list[str]) -> RankedItems:
        """All known candidates, best first."""
        now = self._now()
        user, skipped = await self.who_asks.of(request, now)
        async for _ in self.deployments.patience().attempts():
            ranked = await self.deployments.call("rank", self.deployments.ranker.rank, user, candidates, now)
            if isinstance(ranked, RankedItems):
                return self._answer(ranked, skipped)
        raise AssertionError("unreachable: attempts end by raising")

    async def search(self, request: SearchRequest) -> FoundItems:
        """Items by words; ApiError 404 where the bundle has no search index."""
        wish, encoder, skipped = await self.who_asks.wish(request.text, 1.0, None)
        user = RequestUser(request.user_id, encoder=encoder, wish=wish, only=request.restriction())
        find = self.deployments.retriever.search
        async for _ in self.deployments.patience().attempts():
            found = await self.deployments.call("search", find, user, self._now(), request.k)
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
        return await call("encode", self.metrics, patience, self.deployments.encoder.encode, texts, kind, False)

    async def similar(self, item_id: str, k: int) -> RankedItems:
        """Items near to `item_id`; ApiError 404 where the bundle does not know it."""
        found = await self.deployments.call("similar", self.deployments.retriever.similar, item_id, k)
        if found.provenance.unknown:
            raise ApiError(404, "unknown_item", f"bundle {found.provenance.bundle} knows no item of that id")
        return found

    async def cards(self, ids: list[str]) -> list[ItemCard]:
        """What is to be shown of items, in order; of unknown ones their ids."""
        return await self.deployments.call("cards", self.deployments.retriever.cards, ids)

    def _now(self) -> int | None:
        return int(time.time() * 1000) if self.config.clock == "wall" else None

    def _answer(self, ranked: RankedItems, skipped: str | None) -> RankedItems:
        """`ranked`, saying so where a text was not read that would have made it personal."""
        if skipped is not None and (ranked.provenance.basis != "history" or ranked.provenance.reason is not None):
            ranked = replace(ranked, provenance=replace(ranked.provenance, reason=skipped))
        self.metrics.answered(ranked.provenance)
        return ranked
