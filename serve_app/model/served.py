"""A bundle behind ids and words: what the retriever and the ranker deployments answer from."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from llmrec.bundle import Bundle
from llmrec.exposures.learned import LearnedFeedback
from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.features.asof.history import History
from llmrec.features.asof.item_sets import ItemSet
from llmrec.features.asof.state import UserState
from llmrec.live.follower import LiveState
from llmrec.reading.served import ServedReader
from llmrec.reasons import ItemReasons
from llmrec.recommender import Recommender
from llmrec.search import AttributeFilter, NeededItems, by_need, needed_items, quoting, with_review
from llmrec.variants import reads_text
from serve_app.messages import (
    NOTHING_MATCHED,
    By,
    Candidates,
    ModelDescription,
    Provenance,
    RankedItems,
    RequestUser,
    Restriction,
    WordsRead,
    basis_of,
)
from serve_app.model.listing import Listing
from serve_app.model.user_states import UserStates
from serve_app.model.wants import Wants

P = ParamSpec("P")
T = TypeVar("T")


def while_items_stay(
    method: "Callable[Concatenate[ServedModel, P], T]",
) -> "Callable[Concatenate[ServedModel, P], T]":
    """While it runs, no live item joins."""

    @wraps(method)
    def asked(self: "ServedModel", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.live.gate.passing() if self.live else nullcontext():
            return method(self, *args, **kwargs)

    return asked


@dataclass(frozen=True)
class ServedModel:
    """One version of everything that answers. All methods are pure: many threads may call them."""

    version: str
    encoder: str | None  # fingerprint
    bundle: Bundle
    recommender: Recommender
    card: dict[str, Any]
    live: LiveState | None = None
    learned: LearnedFeedback | None = None  # by `linucb`, where exposures are logged

    @cached_property
    def reader(self) -> ServedReader | None:
        """Who read the reviews, where the bundle's models look at what was read."""
        held = self.bundle.settings.reader
        return None if held is None else ServedReader.model_validate(held)

    def catch_up(self) -> None:
        """Take in what the logs hold by now."""
        for follower in (self.live, self.learned):
            if follower is not None:
                follower.catch_up()

    @property
    def history(self) -> History:
        return self.recommender.history

    @property
    def as_of(self) -> int:
        """The bundle's own time, ms UTC: every event that it knows lies before."""
        return self.bundle.last_time

    @cached_property
    def users(self) -> UserStates:
        return UserStates(self.version, self.recommender, self.reads_text, self.reader)

    @cached_property
    def listing(self) -> Listing:
        return Listing(self.recommender, self.learned, lambda: self.wants.likeness)

    @property
    def reads_text(self) -> bool:
        """Whether words change an answer: its features know a text part, and its models were fitted on it."""
        return reads_text(self.bundle.variant) and self.history.text_dim > 0

    @cached_property
    def wants(self) -> Wants:
        return Wants(self.recommender, self.bundle.search)

    @while_items_stay
    def retrieve(self, user: RequestUser, exclude: tuple[str, ...], time: int | None) -> Candidates:
        """First stage: candidates of the retriever, or by popularity where nothing is known of the user."""
        at, n = self._at(time), self.recommender.n_retrieve
        allowed = self.allowed(user.only, at)
        like = int(self.history.item_rows([user.like or ""])[0])
        kept_out = self.history.item_rows([*exclude, *user.liked, *user.recent, *user.disliked])
        kept_out = np.append(kept_out[kept_out > 0], like)
        wanted = user.wish is not None or like > 0
        fresh = self._fresh(user, at, allowed, kept_out) if wanted else allowed.held
        matches = self.wants.matches(user.wish, fresh)
        state, provenance = self.users.of(user, at, heard=matches is None or bool(matches))
        found = self.recommender.retrieve(state, state.times, n, [kept_out], allowed)
        if matches is not None and not matches:
            provenance = replace(provenance, reason=NOTHING_MATCHED)
        if user.only and np.isin(allowed.rows, kept_out).all():
            provenance = replace(provenance, reason="no_item_allowed")
        relevance = self.wants.relevance(matches, like, fresh, at) if user.need and wanted else None
        if relevance is not None:
            provenance = _answering(provenance, text=bool(matches), item=bool(like))
        return self._needing(Candidates(provenance, found), user, relevance)

    def _needing(self, candidates: Candidates, user: RequestUser, relevance: Floats32 | None) -> Candidates:
        """The candidates with what is wanted now, and what is not, where there is any of it."""
        if relevance is None and not user.disliked and user.unwanted is None:
            return candidates
        none = np.zeros(len(self.history.item_ids), np.float32)
        weight = 0.0 if relevance is None else user.need
        needed = needed_items(candidates.found, none if relevance is None else relevance, weight,
                              self.recommender.n_retrieve)  # fmt: skip
        unwanted, spoken = self.wants.unwanted(user, needed.rows)
        understood = replace(candidates.provenance.understood, disliked_text=spoken)
        provenance = replace(candidates.provenance, understood=understood)
        return replace(candidates, provenance=provenance, needed=replace(needed, unwanted=unwanted))

    def _fresh(self, user: RequestUser, at: int, allowed: ItemSet, kept_out: Ints) -> Bools:
        """(n_items + 1,) which of the items allowed the user had not yet, and that are not kept out."""
        row, fresh = int(self.history.user_rows([user.user_id or ""])[0]), allowed.held.copy()
        fresh[self.history.seen(row, at)] = False
        fresh[kept_out] = False
        return fresh

    def allowed(self, only: Restriction, at: int) -> ItemSet:
        """Which items may be listed at a time and are allowed by a request."""
        known = self.recommender.context.listable.at(at)  # a hidden item is never known
        if not only:
            return known
        allowed = known.held & self._attributes.allowed(only.filters) if only.filters else known.held.copy()
        if only.allow is not None:
            named = np.zeros_like(allowed)
            named[self.history.item_rows(list(only.allow))] = True
            allowed &= named
        return ItemSet(allowed)

    @cached_property
    def _attributes(self) -> AttributeFilter:
        return AttributeFilter(self.history.data)

    @while_items_stay
    def recommend(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, k: int
    ) -> tuple[RankedItems, int]:
        """Both stages: the `k` best, and how many candidates there were."""
        candidates = self.retrieve(user, exclude, time)
        return self.order(user, candidates, k), candidates.count

    @while_items_stay
    def order(self, user: RequestUser, candidates: Candidates, k: int) -> RankedItems:
        """Second stage: the `k` best of `retrieve`'s answer."""
        heard = user.wish is None or "text" in candidates.provenance.basis
        state, _ = self.users.of(user, candidates.provenance.as_of, heard=heard)
        if candidates.needed is not None:
            return self._order_by_need(user, state, candidates, candidates.needed, k)
        n = max(k, self.recommender.n_retrieve if self.listing.looks_at_all(user) else 0)
        rows, scores = self.recommender.order(state, state.times, candidates.found, n)
        found = rows[0] >= 0
        return self._shown(user, state, candidates.provenance, (rows[0][found], scores[0][found], scores[0][found]), k)

    def _order_by_need(
        self, user: RequestUser, state: UserState, candidates: Candidates, needed: NeededItems, k: int
    ) -> RankedItems:
        ranked, index = by_need(self.recommender, state, candidates.provenance.as_of, needed), self.bundle.search

        def with_need(taste: list[ItemReasons], chosen: Ints) -> list[ItemReasons]:
            reasons = ranked.reasons(taste, chosen)
            if index is None or user.wish is None:
                return reasons
            shown = (index.highlights(int(row), user.wish.text) for row in ranked.rows[chosen])
            return [quoting(found, parts) for found, parts in zip(reasons, shown, strict=False)]

        return self._shown(user, state, candidates.provenance, (ranked.rows, ranked.scores, ranked.taste), k, with_need)

    def _shown(
        self, user: RequestUser, state: UserState, provenance: Provenance, ranked: tuple[Ints, Floats32, Floats32],
        k: int,
        because: Callable[[list[ItemReasons], Ints], list[ItemReasons]] = lambda reasons, chosen: reasons,
    ) -> RankedItems:  # fmt: skip
        """The `k` that are shown of candidates, the best first, with all that was asked about them.

        `ranked`: rows, scores, and what taste alone gives of each score. `because`: taste's reasons at the places that
        were chosen, made the score's.
        """
        rows, scores, taste = ranked
        chosen, explored = self.listing.chosen(user, state, rows, scores, k)
        listed = self._listed(provenance, rows[chosen], scores[chosen])
        listed = replace(listed, outcomes=_lists(self.recommender.outcomes(state, rows[chosen], provenance.as_of)))
        reasons = because(self.listing.reasons(user, state, rows, taste, chosen) if user.reasons else [], chosen)
        reasons = self._with_reviews(user, provenance.as_of, rows[chosen], reasons)
        without = self.listing.without_text(user, state, rows, taste, k)
        return self.listing.with_chances(replace(listed, reasons=reasons, without_text=without), explored)

    def _with_reviews(self, user: RequestUser, at: int, rows: Ints, reasons: list[ItemReasons]) -> list[ItemReasons]:
        """The reasons of the items `rows`, quoting what was written of them before the request."""
        index, text = self.bundle.search, user.wish.text if user.wish else ""
        if index is None or index.quotes is None or not user.quotes:
            return reasons
        said = (index.quote(int(row), at, text, user.user_id) for row in rows)
        return [with_review(found, sentence) for found, sentence in zip(reasons, said, strict=False)]

    @while_items_stay
    def rank(self, user: RequestUser, candidates: list[str], time: int | None) -> RankedItems:
        """The candidates that the bundle knows, ordered as `order` would, each with the probability of a click."""
        state, provenance = self.users.of(user, self._at(time), candidates)
        rows = self.history.item_rows(list(dict.fromkeys(candidates)))
        rows = rows[rows > 0]
        if not len(rows):
            return self._listed(provenance, rows, np.zeros(0, np.float32))
        ranked = self.recommender.rank(state, rows, provenance.as_of)
        best = np.argsort(-ranked.scores, kind="stable")
        if provenance.basis == "popularity":  # nothing is known of the user, yet each item has a probability
            provenance = replace(provenance, basis="item")
        listed = self._listed(provenance, rows[best], ranked.scores[best])
        if user.reasons:
            listed = replace(listed, reasons=self.listing.reasons(user, state, rows[best], ranked.scores[best]))
        user_row, item_rows = (
            (int(state.rows[0]), rows[best]) if self.live is None else (self.live.fitted(state.rows[0], rows[best]))
        )
        rated = self.recommender.rate(user_row, item_rows, provenance.as_of, state)
        outcomes = {name: values[best] for name, values in ranked.outcomes.items()}
        clicks = ranked.probability[best].tolist()
        return replace(listed, ratings=_lists(rated), outcomes=_lists(outcomes), click_probability=clicks)

    def read(self, text: str, vector: npt.NDArray[np.float32]) -> WordsRead:
        """What the bundle's reader reads in a newcomer's words."""
        if self.reader is None or not self.reader.within_a_request:
            return WordsRead(self.reader.fingerprint if self.reader else "", None)
        return WordsRead(self.reader.fingerprint, self.reader.row(text, vector))

    @while_items_stay
    def similar(self, item_id: str, k: int, by: By, time: int | None) -> RankedItems:
        """The `k` items nearest to `item_id`; none, and the id under `unknown`, where it is not known."""
        row, at = int(self.history.item_rows([item_id])[0]), self._at(time)
        provenance = Provenance(self.version, at, "item", unknown=() if row else (item_id,))
        if row == 0:
            return RankedItems(provenance, [], [])
        if by == "behaviour":
            rows, scores = self.recommender.similar(row, k, at, self.allowed(Restriction(), at))
            return self._listed(provenance, rows[rows >= 0], scores[rows >= 0])
        near = self.wants.near(row, by, at)
        rows = np.argsort(-near, kind="stable")[:k]
        rows = rows[near[rows] > 0]
        return self._listed(provenance, rows, near[rows])

    def some_users(self, n: int = 20) -> list[str]:
        """Ids of the `n` users with most reviews."""
        counts = np.bincount(self.history.data.user_rows, minlength=len(self.history.user_ids))
        return [self.history.user_ids[int(row)] for row in np.argsort(-counts, kind="stable")[:n] if counts[row]]

    def describe(self, refused: dict[str, str]) -> ModelDescription:
        """For /v1/model."""
        users, items = len(self.history.user_ids) - 1, len(self.history.item_ids) - 1
        live = self.live.describe() if self.live else None
        return ModelDescription(self.version, self.as_of, self.encoder, users, items, self.card, refused, live)

    def _at(self, time: int | None) -> int:
        return self.as_of if time is None else time

    def _listed(self, provenance: Provenance, rows: Ints, scores: npt.NDArray[np.float32]) -> RankedItems:
        return RankedItems(provenance, [self.history.item_ids[row] for row in rows], [float(s) for s in scores])


def _lists(by_name: Mapping[str, npt.NDArray[Any]]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in by_name.items()}


def _answering(provenance: Provenance, text: bool, item: bool) -> Provenance:
    """`provenance` of an answer that what was asked for decided, too."""
    basis = basis_of(*provenance.basis.split("_and_"), *["text"] * text, *["item"] * item)
    lasting = provenance.reason in (NOTHING_MATCHED, "no_item_allowed")
    return replace(provenance, basis=basis, reason=provenance.reason if lasting else None)
