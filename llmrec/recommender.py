"""Two stages: retrievers bring candidates, a ranker and a blender order them.

What training fits the blender with, and evaluation, `jobs.recommend` and the server all call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config.data.outcomes import CLICK, LIKE
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.item_sets import ItemSet
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import (
    Blender,
    Bools,
    Calibrator,
    Floats,
    Ints,
    Model,
    ModelContext,
    Ranker,
    Rater,
    Requests,
    Retriever,
)
from llmrec.models.blenders.prior_correction import LOGIT, popularity, popularity_columns
from llmrec.models.click_rows import ItemFacts, click_rows, item_facts
from llmrec.models.fixed_order import FixedOrder
from llmrec.models.retrieval import barred, retrieve
from llmrec.models.topk import top_k, top_rows
from llmrec.state_cache import StateCache

#: The column of a score that says what an item's outcomes are worth.
WORTH = "outcomes"
_LEAST = 1e-6
#: Queries whose candidates are read at once.
_TOGETHER = 16


@dataclass(frozen=True)
class FittedModels:
    """The models of a bundle. `fallback`: the popularity column that answers where nothing is known of a user."""

    retrievers: Mapping[str, Retriever]
    ranker: Ranker
    blender: Blender
    fallback: str
    calibrator: Calibrator
    raters: Mapping[str, Rater] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)  # of outcomes beside the click, by name

    @classmethod
    def of_keys(
        cls, fitted: Mapping[str, Any], blender: Blender, calibrator: Calibrator, fallback: str,
        calibrators: Mapping[str, Calibrator],
    ) -> "FittedModels":  # fmt: skip
        """Models by the keys of `TrainingConfig.models` as what serves together."""

        def of(role: str) -> dict[str, Any]:
            return {key.partition(".")[2]: model for key, model in fitted.items() if key.startswith(f"{role}.")}

        return cls(of("retriever"), fitted["ranker"], blender, fallback, calibrator, of("rater"), calibrators)

    def judged(self, rows: Examples) -> tuple[Floats, dict[str, Floats]]:
        """(N,) the logit of the click, and `outcomes`: a network of several is asked once."""
        if not self.ranker.outcomes:
            return self.ranker.logits(rows), {}
        found = self.ranker.predictions(rows)
        return found[CLICK], self._in_units(self._calibrated(found))

    def said(self, rows: Examples) -> dict[str, Floats]:
        """Outcome -> (N,): the calibrated probability of what is 0 or 1, the log of 1 + a value, stars."""
        return self._calibrated(self.ranker.predictions(rows))

    def outcomes(self, rows: Examples) -> dict[str, Floats]:
        """Outcome -> (N,) as it is served: as `said`, values in their own unit."""
        return self.judged(rows)[1]

    def _calibrated(self, predictions: Mapping[str, Floats]) -> dict[str, Floats]:
        by = {CLICK: self.calibrator, **self.calibrators}
        return {name: by[name].probability(given) if name in by else given for name, given in predictions.items()}

    def _in_units(self, said: Mapping[str, Floats]) -> dict[str, Floats]:
        logs = {task.name for task in self.ranker.outcomes if task.form == "log_value"}
        return {name: np.expm1(given) if name in logs else given for name, given in said.items()}

    def log_worth(self, outcomes: Mapping[str, Floats]) -> Floats:
        """(N,) log of what a click is expected to be worth, where the ranker's settings say what `outcomes` are.

        Σ worth · E[outcome | click]: of what happens or not, its probability over that of the click.
        """
        worth, forms = self.ranker.worth, {task.name: task.form for task in self.ranker.outcomes}
        given = {
            name: np.minimum(p / np.maximum(outcomes[CLICK], _LEAST), 1)
            if forms[name] == "whether" and name != LIKE
            else p
            for name, p in outcomes.items()
        }
        total = sum(weight * np.maximum(given[name], 0) for name, weight in worth.items())
        return np.asarray(np.log(np.maximum(total, _LEAST)), np.float32)

    def click_probability(self, rows: Examples) -> Floats:
        """(N,) as it is served, among negatives drawn by popularity as in training."""
        return self.calibrator.probability(self.ranker.logits(rows))

    def by_key(self) -> dict[str, Model]:
        """Every model by its key in a bundle."""
        named: dict[str, Model] = {f"retriever.{name}": model for name, model in self.retrievers.items()}
        named |= {f"rater.{name}": model for name, model in self.raters.items()}
        named |= {f"calibrator.{name}": model for name, model in self.calibrators.items()}
        return {**named, "ranker": self.ranker, "blender": self.blender, "calibrator": self.calibrator}


@dataclass(frozen=True)
class CandidateSet:
    """What retrieval found for Q users: rows (Q, N), best first, −1 pads; scores (Q, N) that order them, −inf pads.

    `columns` (Q, N, R): the score of each of R retrievers.
    """

    rows: Ints
    scores: Floats
    columns: Floats


@dataclass(frozen=True)
class RankedRows:
    """What the second stage says of N items and one user.

    `probability` (N,): of a click, among negatives drawn by popularity as in training; `outcomes`: of each outcome.
    """

    scores: Floats
    probability: Floats
    outcomes: Mapping[str, Floats] = field(default_factory=dict)


class Recommender:
    """`n_retrieve` is how many candidates are ranked. Every answer is as of a time: only events before it count."""

    def __init__(
        self,
        models: FittedModels,
        context: ModelContext,
        *,
        retrieve: int = 200,
        approximate: ApproximateConfig | None = None,
        clock: int | None = None,
    ) -> None:
        """`approximate`: how large catalogues are searched by an HNSW graph; None searches exactly.

        `clock` (ms): the time of most requests, whose states are remembered; None remembers nothing.
        """
        self.models, self.context, self.history, self.n_retrieve = models, context, context.history, retrieve
        self.popularity = popularity_columns(context.history.settings.popularity_days)
        for model in models.retrievers.values():
            model.approximate = approximate
        self.cache = None if clock is None else StateCache(context, clock)

    def user(self, user_id: str, time: int, contexts: Ints) -> UserState:
        """State (Q = 1) of a user by id, in the request's `contexts` (1, K); of nobody where the id is not known."""
        rows = self.history.user_rows([user_id])
        if self.cache is not None:
            return self.cache.user(int(rows[0]), time, contexts)
        return self.history.users_at(rows, np.array([time]), contexts)

    @property
    def blended(self) -> tuple[str, ...]:
        """What the blender reads of a candidate."""
        return (*self.models.retrievers, LOGIT, *self.popularity)

    @property
    def columns(self) -> tuple[str, ...]:
        """What a score is made of: the blender's columns, and the worth of outcomes where there is a word on it."""
        return (*self.blended, WORTH) if self.models.ranker.worth else self.blended

    @property
    def weights(self) -> dict[str, float]:
        """Column -> weight in the score, as far as there are such."""
        return {**self.models.blender.weights, **({WORTH: 1.0} if self.models.ranker.worth else {})}

    def score(self, values: npt.NDArray[np.float64]) -> Floats:
        """(N, n_columns) → (N,): the blend, and the log of the worth."""
        n = len(self.blended)
        return np.asarray(self.models.blender.score(values[:, :n]) + values[:, n:].sum(axis=1), np.float32)

    def requests(self, users: UserState, times: Ints) -> Requests:
        return Requests(users.rows, times, self.context.as_of, users)

    def nothing_known(self, users: UserState) -> Bools:
        """(Q,) true where there are neither events nor words: these users get the popularity list."""
        return np.asarray((users.count == 0) & ~(users.text_weight > 0).any(axis=1))

    def by_popularity(self, users: UserState) -> Bools:
        """(Q,) whose list is the fallback's: of whom nothing is known, and all, where the guard left it alone."""
        ordering = [column for column, weight in self.weights.items() if weight]
        return self.nothing_known(users) | np.bool_(ordering == [self.models.fallback])

    def retrieve(
        self, users: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None = None,
        among: ItemSet | None = None,
    ) -> CandidateSet:  # fmt: skip
        """The first stage: the k best of all retrievers together, each giving in turn.

        Candidates are the items of `among`, or where it is left out those known before `times` (Q,), less those that
        the user had, those in the state's own history, and `exclude` (rows for each query). Some get popularity: see
        `by_popularity`.
        """
        requests = self.requests(users, times)
        among = self._known(times) if among is None else among
        found = self.unite(requests, k, exclude, among)
        rows, scores, columns = found.rows, found.scores, found.columns
        cold = self.by_popularity(users) | (rows[:, :1] < 0).all(axis=1)
        for q in np.flatnonzero(cold):
            only = None if exclude is None else [exclude[q]]
            rows[q], scores[q] = self._popular(requests.take(np.array([q])), k, only, among)
            columns[q] = 0
        return CandidateSet(rows, scores, columns)

    def unite(
        self, requests: Requests, k: int, exclude: Sequence[Ints] | None = None, among: ItemSet | None = None
    ) -> CandidateSet:
        """What the retrievers alone find, without the popularity that answers for them."""
        rows, scores = self._in_turn(requests, k, exclude, among)
        return CandidateSet(rows, scores, self._columns(requests, rows, scores))

    def _known(self, times: Ints) -> ItemSet | None:
        """The items known before the time of all requests; None where their times differ."""
        same = len(times) and (times == times[0]).all()
        return self.context.interactions.known.at(int(times[0])) if same else None

    def _in_turn(
        self, requests: Requests, k: int, exclude: Sequence[Ints] | None, among: ItemSet | None
    ) -> tuple[Ints, Floats]:
        found = [retrieve(model, requests, k, exclude, among) for model in self.models.retrievers.values()]
        for (rows, scores), model in zip(found, self.models.retrievers.values(), strict=True):
            silent = ~model.answers(requests)
            rows[silent], scores[silent] = -1, -np.inf
        if len(found) == 1:
            return found[0]
        in_turn = np.stack([rows for rows, _ in found], axis=2).reshape(len(requests), -1)
        rows = np.stack([_first_of_each(mine, k) for mine in in_turn]) if len(requests) else np.empty((0, k), np.int64)
        place = np.where(rows >= 0, -np.arange(k, dtype=np.float32), np.float32(-np.inf))
        return rows, place

    def _columns(self, requests: Requests, rows: Ints, scores: Floats) -> Floats:
        """(Q, N, R); where a retriever knows nothing of a user it says 0 of each item."""
        models = self.models.retrievers.values()
        if len(models) == 1:
            return scores[:, :, None].copy()
        return np.stack([self._score(model, requests, rows) for model in models], axis=2)

    @staticmethod
    def _score(model: Retriever, requests: Requests, rows: Ints) -> Floats:
        """(Q, N) a retriever's scores of the rows (Q, N), 0 where it knows nothing of the user."""
        found = np.where(model.answers(requests)[:, None], model.scores_of(requests, rows), 0)
        return np.asarray(found, np.float32)

    def values(self, user: UserState, rows: Ints, columns: Floats, time: int) -> npt.NDArray[np.float64]:
        """(N, n_columns) of one user's candidates `rows` (N,), whose retrieval scores are `columns` (N, R)."""
        read, items = self.click_rows(user, rows, time)
        return self._values(read, items, columns)[0]

    def _values(
        self, read: Examples, items: ItemState, columns: Floats
    ) -> tuple[npt.NDArray[np.float64], dict[str, Floats]]:
        """`values`, and the outcomes (N,) that were predicted with them."""
        popular = popularity(items, self.history.settings.popularity_days)
        logits, outcomes = self.models.judged(read)
        worth = [self.models.log_worth(outcomes)] if self.models.ranker.worth else []
        return np.column_stack([columns, logits, popular, *worth]), outcomes

    def rerank(self, users: UserState, times: Ints, found: CandidateSet) -> Floats:
        """The second stage: its score for each candidate, (Q, N); −inf where there is none.

        Who gets a popularity list keeps its scores.
        """
        ranked, there = found.scores.copy(), found.rows >= 0
        for q, items in self._facts(np.flatnonzero(~self.by_popularity(users) & there.any(axis=1)), found.rows, times):
            read = click_rows(self.context, users.take(np.array([q])), items.state, items.features)
            values, _ = self._values(read, items.state, found.columns[q, there[q]])
            ranked[q, there[q]] = self.score(values)
        return ranked

    def _facts(self, asked: Ints, rows: Ints, times: Ints) -> Iterator[tuple[int, ItemFacts]]:
        """Each query of `asked` with what is known of its `rows`; of several at once, since the asking costs most."""
        for start in range(0, len(asked), _TOGETHER):
            some = asked[start : start + _TOGETHER]
            real = [rows[q][rows[q] >= 0] for q in some]
            sizes = [len(mine) for mine in real]
            facts = self._item_facts(np.concatenate(real), np.repeat(times[some], sizes))
            for q, end, size in zip(some.tolist(), np.cumsum(sizes), sizes, strict=True):
                yield q, facts.take(np.arange(end - size, end))

    def rank(self, user: UserState, item_rows: Ints, time: int) -> RankedRows:
        """The items `item_rows` (N,) for one user (Q = 1), scored as `recommend` would: its order, on any items."""
        request = self.requests(user, np.array([time], np.int64))
        read, items = self.click_rows(user, item_rows, time)
        values, outcomes = self._values(read, items, self._retrieval_scores(request, item_rows))
        named = {name: values[:, place] for place, name in enumerate(self.columns)}
        scores = named[self.models.fallback] if self.by_popularity(user)[0] else self.score(values)
        clicks = self.models.calibrator.probability(named[LOGIT].astype(np.float32))
        return RankedRows(np.asarray(scores, np.float32), clicks, outcomes)

    def outcomes(self, user: UserState, item_rows: Ints, time: int) -> dict[str, Floats]:
        """Outcome -> (N,) calibrated prediction of the items `item_rows` (N,) for one user (Q = 1)."""
        return self.models.outcomes(self.click_rows(user, item_rows, time)[0]) if self.models.ranker.outcomes else {}

    def blend_columns(self, user: UserState, rows: Ints, time: int) -> npt.NDArray[np.float64]:
        """(N, n_columns) what the score is made of for any items `rows` (N,) and one user (Q = 1)."""
        request = self.requests(user, np.array([time], np.int64))
        return self.values(user, rows, self._retrieval_scores(request, rows), time)

    def _retrieval_scores(self, request: Requests, rows: Ints) -> Floats:
        """(N, R) of one request (Q = 1) and the items `rows`."""
        columns = [self._score(m, request, rows[None]) for m in self.models.retrievers.values()]
        return np.asarray(np.stack(columns, axis=2)[0])

    def click_rows(self, user: UserState, rows: Ints, time: int) -> tuple[Examples, ItemState]:
        """What the ranker reads of one user (Q = 1) and the items `rows` (N,), and what was known of these."""
        read = self._item_facts(rows, time)
        return click_rows(self.context, user, read.state, read.features), read.state

    def _item_facts(self, rows: Ints, times: Ints | int) -> ItemFacts:
        return item_facts(self.context, rows, times) if self.cache is None else self.cache.items(rows, times)

    def rate(
        self, user_row: int, item_rows: Ints, time: int, user: UserState | None = None
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Rater -> (N,) predicted stars, or probability of a like, of items by one user (row 0: unknown).

        `user`: their state (Q = 1), by which alone somebody new is known.
        """
        return {name: r.predict_for(user_row, item_rows, time, user) for name, r in self.models.raters.items()}

    def recommend(
        self, users: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None = None,
        among: ItemSet | None = None,
    ) -> tuple[Ints, Floats]:  # fmt: skip
        """Both stages: rows (Q, k), best first, −1 pads, and scores (Q, k). Beyond `retrieve`, retrieval's order."""
        return self.order(users, times, self.retrieve(users, times, max(k, self.n_retrieve), exclude, among), k)

    def order(self, users: UserState, times: Ints, found: CandidateSet, k: int) -> tuple[Ints, Floats]:
        """The k best of `retrieve`'s answer by the second stage."""
        n, data = self.n_retrieve, self.context.interactions
        head = self.rerank(users, times, CandidateSet(found.rows[:, :n], found.scores[:, :n], found.columns[:, :n]))
        whole = np.concatenate([head, _below(head, found.scores[:, n:])], axis=1)
        return top_rows(found.rows, whole, k, data.user_hash[users.rows], data.item_hash)

    def similar(self, item_row: int, k: int, time: int, among: ItemSet | None = None) -> tuple[Ints, Floats]:
        """The k items of `among`, else of those known, nearest to the item, rows (k,) and cosines (k,), as of `time`.

        By the vectors of the first retriever that has some; else what somebody who liked the item would be brought.
        """
        found_by = (model.vectors_at(time) for model in self.models.retrievers.values())
        vectors = next((v for v in found_by if v is not None), None)
        if vectors is None:
            guest = self.history.cold_start_state(np.array([item_row]), None, time)
            found = self.retrieve(guest, guest.times, k, among=among)
            return found.rows[0], found.scores[0]
        data, unit = self.context.interactions, vectors[:, :-1]  # the last number is the bias
        cosines = unit @ unit[item_row]
        cosines[item_row] = -np.inf
        among = data.known.at(time) if among is None else among
        cosines = np.where(among.held, cosines, np.float32(-np.inf))[None]
        rows, scores = top_k(cosines, k, data.item_hash[item_row : item_row + 1], data.item_hash)
        return rows[0], scores[0]

    def _popular(
        self, request: Requests, k: int, exclude: Sequence[Ints] | None, among: ItemSet | None
    ) -> tuple[Ints, Floats]:
        data, time = self.context.interactions, int(request.times[0])
        if among is None:
            among = data.known.at(time)
        at_clock = self.cache is not None and time == self.cache.clock
        order = self._fallback if at_clock else self._popular_order(time)
        found, best = order.best(among, barred(request, exclude), k, data.user_hash[request.users], data.item_hash)
        return found[0], best[0]

    @cached_property
    def _fallback(self) -> FixedOrder:
        """All items by the fallback's column, at the clock."""
        assert self.cache is not None
        return self._popular_order(self.cache.clock)

    def _popular_order(self, time: int) -> FixedOrder:
        rows = np.arange(self.context.interactions.n_items)
        counts = self.history.item_counts(rows, np.full(len(rows), time, np.int64))
        popular = popularity(counts, self.history.settings.popularity_days)
        return FixedOrder.of(popular[:, self.popularity.index(self.models.fallback)].astype(np.float32))


def _first_of_each(rows: Ints, k: int) -> Ints:
    """(k,) the first k different rows, in order, −1 pads."""
    rows = rows[rows >= 0]
    _, first = np.unique(rows, return_index=True)
    kept = rows[np.sort(first)][:k]
    return np.pad(kept, (0, k - len(kept)), constant_values=-1)


def _below(head: Floats, tail: Floats) -> Floats:
    """The unranked tail's scores moved, in their order, below everything ranked."""
    if tail.shape[1] == 0:
        return tail
    floor = np.where(np.isfinite(head), head, np.inf).min(axis=1, keepdims=True)
    listed = np.isfinite(tail)
    top = tail.max(axis=1, keepdims=True, where=listed, initial=np.finfo(np.float32).min)
    return np.where(listed, floor - 1 + np.where(listed, tail - top, 0), -np.inf).astype(np.float32)
