"""How an answer is composed of the deployments, on one bundle from beginning to end."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from llmrec.config import ServingConfig
from llmrec.diversity import Diversity
from serve_app.errors import ApiError
from serve_app.handles import Patience, call
from serve_app.intake import Intake
from serve_app.messages import (
    By,
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
from serve_app.service.pages import Page, next_cursor, refuse_two_ways
from serve_app.service.who_asks import WhoAsks
from serve_app.trials import Trials

T = TypeVar("T")
#: Why words count without their vectors: no bundle here goes with the encoder that read them.
UNHEARD = "no_bundle_of_the_encoder"


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

    async def asked(self, request: RecommendRequest) -> RankedItems:
        """`recommend`, as the user's part in an experiment has it, and logged where lists are."""
        return await (self.trials.recommend(request, self.recommend) if self.trials else self.recommend(request))

    async def recommend(self, request: RecommendRequest, bundle: str | None = None) -> RankedItems:
        """The best items, as many as are asked for, at most. `bundle`: one that replicas hold for an experiment.

        ApiError 410 where a cursor's bundle serves no more.
        """
        now = self._now()
        refuse_two_ways(request)
        page = Page.asked(request, now)
        now = now if page is None else page.time
        user, skipped = await self.who_asks.of(request, now, self.config.need if request.need is None else request.need)
        user = replace(user, diversity=user.diversity or self._diversity(user), bundle=bundle)
        if page is not None:
            user = replace(user, listed=page.listed, bundle=page.bundle)
        ask = self._stages(request, now, paged=page is not None)
        (ranked, n_candidates), heard = await self._held(user, ask)
        self.metrics.candidates.observe(n_candidates)
        before = 0 if page is None else len(page.listed)
        if ranked.item_ids and user.explore is None and before + len(ranked.item_ids) < n_candidates:
            ranked = replace(ranked, next=next_cursor(request, ranked, now, page))
        return self._answer(replace(ranked, before=before), skipped if heard else UNHEARD)

    def _diversity(self, user: RequestUser) -> Diversity | None:
        """The configuration's, which an exploring request goes without."""
        chosen = self.config.diversity
        return None if chosen is None or user.explore is not None else Diversity(chosen.method, chosen.weight)

    def _stages(
        self, request: RecommendRequest, now: int | None, paged: bool
    ) -> Callable[[RequestUser], Awaitable[tuple[RankedItems, int] | NotHeld]]:
        """Both stages for a request, in one call or in two. `paged`: no other bundle will do, nor will it come back."""
        fused, exclude = self.deployments.fused, tuple(request.exclude)
        behind: list[str] = []  # what the ranker holds, where it is behind or ahead

        async def in_one_call(user: RequestUser) -> tuple[RankedItems, int] | NotHeld:
            assert fused is not None
            return await self.deployments.call("recommend", fused.recommend, user, exclude, now, request.k)

        async def in_two_calls(user: RequestUser) -> tuple[RankedItems, int] | NotHeld:
            version = behind.pop() if behind else None
            retrieve, order = self.deployments.retriever.retrieve, self.deployments.ranker.order
            found = await self.deployments.call("retrieve", retrieve, user, exclude, now, version)
            if isinstance(found, NotHeld):
                return found
            ranked = await self.deployments.call("order", order, user, found, request.k)
            if isinstance(ranked, RankedItems):
                return ranked, found.count
            behind.extend(ranked.held[:1])
            return ranked

        async def both(user: RequestUser) -> tuple[RankedItems, int] | NotHeld:
            found = await (in_one_call if fused else in_two_calls)(user)
            if paged and isinstance(found, NotHeld) and user.bundle not in found.held:
                raise ApiError(410, "cursor_expired", "its bundle is served no more; expected a request without cursor")
            return found

        return both

    async def _held(self, user: RequestUser, ask: Callable[[RequestUser], Awaitable[T | NotHeld]]) -> tuple[T, bool]:
        """What `ask` answers once somebody holds the bundle, and whether the words' vectors counted.

        A text may have been read by an encoder whose bundle nobody holds: after `text_timeout_s` it counts without.
        """
        until, heard = time.monotonic() + self.config.text_timeout_s, True
        async for _ in self.deployments.patience().attempts():
            found = await ask(user)
            if not isinstance(found, NotHeld):
                return found, heard
            if user.encoder is not None and time.monotonic() >= until:
                user, heard = user.unheard(), False
        raise AssertionError("unreachable: attempts end by raising")

    async def rank(self, request: UserRequest, candidates: list[str]) -> RankedItems:
        """All known candidates, best first."""
        now = self._now()
        user, skipped = await self.who_asks.of(request, now)

        def ask(user: RequestUser) -> Awaitable[RankedItems | NotHeld]:
            return self.deployments.call("rank", self.deployments.ranker.rank, user, candidates, now)

        ranked, heard = await self._held(user, ask)
        return self._answer(ranked, skipped if heard else UNHEARD)

    async def search(self, request: SearchRequest) -> FoundItems:
        """Items by words; ApiError 404 where the bundle has no search index."""
        wish, encoder, skipped = await self.who_asks.wish(request.text, None)
        user = RequestUser(request.user_id, encoder=encoder, wish=wish, only=request.restriction())

        def ask(user: RequestUser) -> Awaitable[FoundItems | NotHeld | None]:
            return self.deployments.call("search", self.deployments.retriever.search, user, self._now(), request.k)

        found, heard = await self._held(user, ask)
        if found is None:
            raise ApiError(404, "no_search", "the bundle has no search index; expected one: assemble it again")
        if reason := skipped if heard else UNHEARD:
            found = replace(found, provenance=replace(found.provenance, reason=reason))
        self.metrics.answered(found.provenance)
        return found

    async def encode(self, texts: list[str], kind: TextKind) -> EncodedTexts:
        """Vectors of `texts`, after those that recommendations wait for."""
        limit = self.config.request_timeout_s
        patience = Patience(limit, limit / 2, self.config.retry_after_s)
        return await call("encode", self.metrics, patience, self.deployments.encoder.encode, texts, kind, False)

    async def similar(self, item_id: str, k: int, by: By = "behaviour") -> RankedItems:
        """Items near to `item_id`; ApiError 404 where the bundle does not know it."""
        found = await self.deployments.call("similar", self.deployments.retriever.similar, item_id, k, by, self._now())
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
