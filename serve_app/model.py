"""A bundle behind ids and words: what the retriever and the ranker deployments answer from."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt

from llmrec.bundle import Bundle, verify
from llmrec.exploration import demand, explore
from llmrec.features.arrays import Bools
from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.live.context import LiveContext
from llmrec.live.event_log import EventLog
from llmrec.live.follower import LiveState
from llmrec.live.widened import Widened
from llmrec.models.base import ModelContext
from llmrec.reading.served import ServedReader
from llmrec.reasons import Explainer, Guest, ItemReasons
from llmrec.recommender import FittedModels, Recommender
from llmrec.registry import current
from llmrec.search import Asked, AttributeFilter, Matches, NeededItems, by_need, needed_items, quoting
from llmrec.storage import Storage
from llmrec.variants import reads_text
from serve_app.hot_swap import ModelRepository
from serve_app.messages import (
    NOTHING_MATCHED,
    Basis,
    Candidates,
    ModelDescription,
    Provenance,
    RankedItems,
    RequestUser,
    Restriction,
    WordsRead,
)

Ints = npt.NDArray[np.int64]
P = ParamSpec("P")
T = TypeVar("T")
#: What an answer rests on, and what it rests on once it answers a need, too.
_WITH_NEED: dict[Basis, Basis] = {"history": "history_and_text", "popularity": "text",
                                  "liked_items": "text_and_liked_items"}  # fmt: skip


@dataclass(frozen=True)
class LogFile:
    """The log that a bundle's history goes on with: its file, how many events of it are held, how often it is read."""

    path: str
    max_events: int
    pull_s: float


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

    @classmethod
    def load(
        cls, storage: Storage, version: str, retrieve: int, approximate_above: int | None = None,
        log: LogFile | None = None,
    ) -> Self:  # fmt: skip
        """The bundle artifact `version`, loaded whole, checked, and having answered. Raises ValueError where not.

        `log`: live events, of which those that are there by now are in its history.
        """
        artifact = storage.find("bundle", version)
        if artifact is None:
            raise ValueError(f"bundle {version!r}: not found under {storage.root}; `python -m jobs.publish` names one")
        bundle = Bundle.load(artifact.root, LiveContext.of if log else ModelContext)
        verify(bundle)
        card = {"made_unix": artifact.manifest.created_unix, "variant": bundle.variant, "text": bundle.card}
        if approximate_above is not None and len(bundle.history.item_ids) > approximate_above:
            card["recall_of_approximate_search"] = recall_of_approximate_search(bundle, approximate_above)
        live, models = _go_live(bundle, log) if log else (None, bundle.models)
        bundle = replace(bundle, models=models)
        recommender = bundle.recommender(retrieve, approximate_above, remember=log is None)
        model = cls(version, bundle.encoder_fingerprint or None, bundle, recommender, card, live)
        model.probe()
        if live is not None:
            live.catch_up()
        return model

    @cached_property
    def reader(self) -> ServedReader | None:
        """Who read the reviews, where the bundle's models look at what was read."""
        held = self.bundle.settings.reader
        return None if held is None else ServedReader.model_validate(held)

    @property
    def history(self) -> History:
        return self.recommender.history

    @property
    def as_of(self) -> int:
        """The bundle's own time, ms UTC: every event that it knows lies before."""
        return self.bundle.last_time

    @property
    def reads_text(self) -> bool:
        """Whether words change an answer: its features know a text part, and its models were fitted on it."""
        return reads_text(self.bundle.variant) and self.history.text_dim > 0

    @while_items_stay
    def retrieve(self, user: RequestUser, exclude: tuple[str, ...], time: int | None) -> Candidates:
        """First stage: candidates of the retriever, or by popularity where nothing is known of the user."""
        allowed = self.allowed(user.only, self.as_of if time is None else time)
        allowed[self.history.item_rows([*exclude, *user.liked])] = False
        matches = self._matches(user, time, allowed)
        state, provenance = self._state(user, time, heard=matches is None or bool(matches))
        n = self.recommender.n_retrieve
        found = self.recommender.retrieve(state, state.times, n, [np.flatnonzero(~allowed)])
        if matches is not None and not matches:
            provenance = replace(provenance, reason=NOTHING_MATCHED)
        if user.only and not allowed.any():
            provenance = replace(provenance, reason="no_item_allowed")
        if not matches or user.wish is None or user.wish.need == 0:
            return Candidates(provenance, found)
        if provenance.basis in _WITH_NEED:
            provenance = replace(provenance, basis=_WITH_NEED[provenance.basis], reason=None)
        return Candidates(provenance, found, needed_items(found, matches, user.wish.need, n))

    def allowed(self, only: Restriction, at: int) -> Bools:
        """(n_items + 1,) which items are known at a time and allowed by a request."""
        allowed: Bools = self.recommender.context.interactions.known_from < at  # a hidden item is never known
        if only.filters:
            allowed &= self._attributes.allowed(only.filters)
        if only.allow is not None:
            allowed &= np.isin(np.arange(len(allowed)), self.history.item_rows(list(only.allow)))
        return allowed

    @cached_property
    def _attributes(self) -> AttributeFilter:
        return AttributeFilter(self.history.data)

    def _matches(self, user: RequestUser, time: int | None, allowed: Bools) -> Matches | None:
        """What of the items the user's words find that the user had not; None without words or without an index."""
        if user.wish is None or self.bundle.search is None:
            return None
        row = int(self.history.user_rows([user.user_id or ""])[0])
        allowed = allowed.copy()
        allowed[self.history.seen(row, self.as_of if time is None else time)] = False
        return self.bundle.search.find(Asked(user.wish.text, user.wish.vector), allowed)

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
        state, _ = self._state(user, candidates.provenance.as_of, heard=heard)
        if candidates.needed is not None:
            return self._order_by_need(user, state, candidates, candidates.needed, k)
        n = max(k, self.recommender.n_retrieve if user.reasons or user.explore else 0)  # which look at all candidates
        rows, scores = self.recommender.order(state, state.times, candidates.found, n)
        found = rows[0] >= 0
        ranked, scored = rows[0][found], scores[0][found]
        chosen, propensities = self._chosen(user, ranked, scored, k, int(state.times[0]))
        listed = self._listed(candidates.provenance, ranked[chosen], scored[chosen])
        reasons = self._reasons(user, state, ranked, scored, chosen) if user.reasons else []
        return replace(listed, reasons=reasons, propensities=propensities)

    def _order_by_need(
        self, user: RequestUser, state: UserState, candidates: Candidates, needed: NeededItems, k: int
    ) -> RankedItems:
        ranked = by_need(self.recommender, state, candidates.provenance.as_of, needed)
        chosen, propensities = self._chosen(user, ranked.rows, ranked.scores, k, int(state.times[0]))
        listed = self._listed(candidates.provenance, ranked.rows[chosen], ranked.scores[chosen])
        taste = self._reasons(user, state, ranked.rows, ranked.taste, chosen) if user.reasons else []
        reasons, index = ranked.reasons(taste, chosen), self.bundle.search
        if index is not None and user.wish is not None:
            shown = (index.highlights(int(row), user.wish.text) for row in ranked.rows[chosen])
            reasons = [quoting(found, parts) for found, parts in zip(reasons, shown, strict=False)]
        return replace(listed, reasons=reasons, propensities=propensities)

    @while_items_stay
    def rank(self, user: RequestUser, candidates: list[str], time: int | None) -> RankedItems:
        """The candidates that the bundle knows, ordered as `order` would, each with the probability of a click."""
        state, provenance = self._state(user, time, candidates)
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
            listed = replace(listed, reasons=self._reasons(user, state, rows[best], ranked.scores[best]))
        user_row, item_rows = (
            (int(state.rows[0]), rows[best]) if self.live is None else (self.live.fitted(state.rows[0], rows[best]))
        )
        rated = self.recommender.rate(user_row, item_rows, provenance.as_of)
        ratings = {name: values.tolist() for name, values in rated.items()}
        return replace(listed, ratings=ratings, click_probability=ranked.probability[best].tolist())

    def read(self, text: str, vector: npt.NDArray[np.float32]) -> WordsRead:
        """What the bundle's reader reads in a newcomer's words."""
        if self.reader is None or not self.reader.within_a_request:
            return WordsRead(self.reader.fingerprint if self.reader else "", None)
        return WordsRead(self.reader.fingerprint, self.reader.row(text, vector))

    @while_items_stay
    def similar(self, item_id: str, k: int) -> RankedItems:
        """The `k` items nearest to `item_id`; none, and the id under `unknown`, where it is not known."""
        row = int(self.history.item_rows([item_id])[0])
        provenance = Provenance(self.version, self.as_of, "item", unknown=() if row else (item_id,))
        if row == 0:
            return RankedItems(provenance, [], [])
        rows, scores = self.recommender.similar(row, k, self.as_of)
        return self._listed(provenance, rows[rows >= 0], scores[rows >= 0])

    def some_users(self, n: int = 20) -> list[str]:
        """Ids of the `n` users with most reviews."""
        counts = np.bincount(self.history.data.user_rows, minlength=len(self.history.user_ids))
        return [self.history.user_ids[int(row)] for row in np.argsort(-counts, kind="stable")[:n] if counts[row]]

    def describe(self, refused: dict[str, str]) -> ModelDescription:
        """For /v1/model."""
        users, items = len(self.history.user_ids) - 1, len(self.history.item_ids) - 1
        live = self.live.describe() if self.live else None
        return ModelDescription(self.version, self.as_of, self.encoder, users, items, self.card, refused, live)

    def probe(self) -> None:
        """Answer for somebody unknown and for somebody known; raises ValueError where a score is not a number."""
        for user_id in ("", *self.history.user_ids[1:2], *self.history.user_ids[-1:]):
            user = RequestUser(user_id or None, liked=tuple(self.history.item_ids[1:2]))
            candidates = self.retrieve(user, (), None)
            listed = self.order(user, candidates, 10)
            ranked = self.rank(user, self.history.item_ids[1:11], None)
            if not np.isfinite([*listed.scores, *ranked.scores]).all():
                raise ValueError(f"bundle {self.version}: a probe was answered with scores that are not numbers")

    def _state(
        self, user: RequestUser, time: int | None, also: list[str] | None = None, heard: bool = True
    ) -> tuple[UserState, Provenance]:
        """What is known of the user at a time, and what that rests on.

        `also`: more ids that may be unknown; `heard`: whether the words, if there are any, say something.
        """
        at = self.as_of if time is None else time
        unknown = self._unknown([*user.liked, *(also or ()), *(user.only.allow or ())])
        asked = self.history.request_contexts(user.context)
        known = self.recommender.user(user.user_id or "", at, asked)
        if known.count[0] > 0:
            return known, Provenance(self.version, at, "history", unknown=unknown)
        liked = self.history.item_rows(list(user.liked))
        liked = liked[liked > 0]
        spoken = user.vector is not None and heard and self.reads_text and bool(np.any(user.vector))
        if not spoken and not len(liked):
            return known, Provenance(self.version, at, "popularity", _why_nothing(user), unknown)
        basis: Basis = "text_and_liked_items" if spoken and len(liked) else "text" if spoken else "liked_items"
        guest = self.history.cold_start_state(liked, user.vector if spoken else None, at, asked, self._read(user))
        return guest, Provenance(self.version, at, basis, unknown=unknown)

    def _chosen(
        self, user: RequestUser, rows: Ints, scores: npt.NDArray[np.float32], k: int, time: int
    ) -> tuple[Ints, list[float]]:
        """Places (k,) among the candidates, the best first, and where slots are drawn the propensity of each."""
        if user.explore is None or not len(rows):
            return np.arange(min(k, len(rows))), []
        events, days = demand(self.history, rows, time)
        found = explore(user.explore, scores, events, days, k)
        return found.places, found.propensities.tolist()

    def _reasons(
        self, user: RequestUser, state: UserState, rows: Ints, scores: npt.NDArray[np.float32],
        listed: Ints | None = None,
    ) -> list[ItemReasons]:  # fmt: skip
        """Why the candidates `rows`, ordered by their `scores`, stand there: those at the places `listed`, or all."""
        guest = None
        if not state.rows[0]:
            liked = self.history.item_rows(list(user.liked))
            vectors = user.sentence_vectors if len(user.sentences) > 1 else user.vector
            spoken = user.vector is not None and bool(state.text_weight.any())  # words that say something
            alone = None if vectors is None else np.atleast_2d(vectors)
            guest = Guest(liked[liked > 0], user.vector, user.sentences, alone) if spoken else Guest(liked[liked > 0])
        listed = np.arange(len(rows)) if listed is None else listed
        return Explainer(self.recommender).explain(state, rows, scores, listed, int(state.times[0]), guest)

    def _read(self, user: RequestUser) -> npt.NDArray[np.float32] | None:
        """What was read in the user's words, unless another bundle's reader did."""
        if user.words is None or self.reader is None or user.words.reader != self.reader.fingerprint:
            return None
        return user.words.row

    def _unknown(self, ids: list[str]) -> tuple[str, ...]:
        rows = self.history.item_rows(ids) if ids else ()
        return tuple(dict.fromkeys(i for i, row in zip(ids, rows, strict=True) if row == 0))

    def _listed(self, provenance: Provenance, rows: Ints, scores: npt.NDArray[np.float32]) -> RankedItems:
        return RankedItems(provenance, [self.history.item_ids[row] for row in rows], [float(s) for s in scores])


def open_repository(
    root: str, name: str, retrieve: int, approximate_above: int | None = None, log: LogFile | None = None
) -> ModelRepository[ServedModel]:
    """The bundles under the storage `root`, CURRENT being that of the registry's `name`."""
    storage = Storage(root)
    return ModelRepository(
        lambda: str(current(storage, name)["id"]),
        lambda version: ServedModel.load(storage, version, retrieve, approximate_above, log),
    )


def _go_live(bundle: Bundle, log: LogFile) -> tuple[LiveState, FittedModels]:
    """The bundle's history, ready to follow the log, and its models, ready for whom and what they do not know."""
    context = bundle.context
    assert isinstance(context, LiveContext)
    live = LiveState(context, EventLog(log.path), bundle.encoder_fingerprint or None, log.max_events, log.pull_s)
    widened = {name: Widened(model, context) for name, model in bundle.models.retrievers.items()}

    def describe(rows: Ints) -> None:
        for model in widened.values():
            model.describe(rows)

    live.on_items = describe
    return live, replace(bundle.models, retrievers=widened)


def recall_of_approximate_search(bundle: Bundle, above: int, k: int = 50, n_users: int = 64) -> float:
    """Which share of exact search's `k` best the graph finds, over users spread over all."""
    users = np.unique(np.linspace(1, len(bundle.history.user_ids) - 1, n_users).astype(np.int64))
    times = np.full(len(users), bundle.last_time)
    states = bundle.history.users_at(users, times)
    exact, found = (bundle.recommender(k, limit).retrieve(states, times, k).rows for limit in (None, above))
    hits = [np.isin(e[e >= 0], f).mean() for e, f in zip(exact, found, strict=True) if (e >= 0).any()]
    return round(float(np.mean(hits)), 4)


def _why_nothing(user: RequestUser) -> str:
    if user.vector is not None:
        return "bundle_without_text"
    if user.user_id is not None:
        return "unknown_user"
    return "unknown_liked_items" if user.liked else "nothing_given"
