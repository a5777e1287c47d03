"""What every baseline is, how lists are made from it, and how its settings are chosen."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from llmrec.evaluation.data.folds import Fold, Split
from llmrec.evaluation.data.interactions import AsOf, Ints, Scores
from llmrec.evaluation.ranking.metrics import hits, parse, ranking
from llmrec.evaluation.ranking.ranking_model import MOST_QUERIES, lists_of
from llmrec.evaluation.ranking.topk import TopK, blocks, usual_threads
from llmrec.models.topk import top_k

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Block:
    """Some queries with what is known at each: `users`, `times` (B,), `histories` (B, n_items) 0/1.

    `events` (B,): the row that each query asks for. No model may read it, save those that measure the leak gap.
    """

    users: Ints
    times: Ints
    histories: sp.csr_matrix
    as_of: AsOf
    events: Ints


class Baseline(ABC):
    """A model that scores all items. Parameters come from `fold.train`; what a query adds comes from its Block."""

    label: ClassVar[str]
    description: ClassVar[str]
    uses_history: ClassVar[bool] = True  # without history the fallback answers

    @abstractmethod
    def fit(self, fold: Fold) -> None:
        """Learn from the event rows `fold.train` alone."""

    @abstractmethod
    def scores(self, block: Block) -> Scores:
        """(B, n_items) float32; higher is better. Seen and unknown items are masked by the caller."""

    def answers(self, block: Block) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(B,) whether the model knows enough of the user; the fallback answers for the rest."""
        return np.diff(block.histories.indptr) > 0


@dataclass(frozen=True)
class WithFallback:
    """A fitted baseline with what answers where it knows nothing of the user: popularity with decay `fallback_days`.

    None: such users get lists in the order of the tie hash, unless the model scores them itself.
    """

    model: Baseline
    fallback_days: float | None = None

    def parts(self, fold: Fold) -> list[slice]:
        """Blocks of queries."""
        return blocks(len(fold.queries), fold.data.n_items, most=MOST_QUERIES)

    @property
    def threads(self) -> int:
        """How many blocks one process answers at a time."""
        return usual_threads()

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK]]:
        """Block -> lists (B, k) of its queries."""
        as_of, queries, data = fold.as_of, fold.queries, fold.data
        first, item_hash = queries.event[queries.indptr[:-1]], data.item_hash

        def answer(rows: slice) -> tuple[TopK]:
            users, times = queries.user[rows], queries.time[rows]
            block = Block(users, times, as_of.histories(users, times), as_of, first[rows])
            scores = self._scores(block)
            known = fold.candidates(rows)
            if known is not None:
                scores[~known] = -np.inf
            scores[block.histories.nonzero()] = -np.inf
            return (TopK(*top_k(scores, k, data.user_hash[users], item_hash)),)

        return answer

    def _scores(self, block: Block) -> Scores:
        scores = np.array(self.model.scores(block), np.float32)
        if self.model.uses_history and self.fallback_days is not None:
            silent = ~self.model.answers(block)
            if silent.any():
                scores[silent] = block.as_of.popularity(block.times[silent], self.fallback_days)
        return scores


def recommend(model: Baseline, fold: Fold, k: int, fallback_days: float | None) -> TopK:
    """Lists (Q, k) of the fold's queries; `fallback_days` as in `WithFallback`."""
    return lists_of(WithFallback(model, fallback_days), fold, k)


@dataclass(frozen=True)
class Candidate:
    """A baseline and the settings to try; `needs_clock`: it reads the query's time, so it has no transductive form."""

    name: str
    make: Callable[..., Baseline]
    grid: Sequence[Settings] = ({},)
    needs_clock: bool = False

    def trials(self, budget: int) -> Sequence[Settings]:
        """The settings that a budget allows: evenly spread over the grid."""
        n = min(budget, len(self.grid))
        picked = np.unique(np.linspace(0, len(self.grid) - 1, n).round().astype(int))
        return [self.grid[i] for i in picked]


@dataclass(frozen=True)
class Tuned:
    """A fitted baseline, the settings that validation chose, and what that cost."""

    model: Baseline
    settings: Settings
    scores: list[tuple[Settings, float]] = field(default_factory=list)
    fit_seconds: float = 0.0


def quality(top: TopK, fold: Fold, metric: str) -> float:
    """The mean of a ranking metric such as `ndcg@10` over the fold's queries."""
    name, k = parse(metric)
    q = fold.queries
    hit = hits(top.item_rows, q.indptr, q.item, fold.data.n_items)
    return float(ranking(hit, q.n_relevant, [k], [name])[metric].mean())


def tune(candidate: Candidate, split: Split, metric: str, budget: int, fallback_days: float | None) -> Tuned:
    """Choose among at most `budget` settings on `split.validation` by `metric`, then fit on `split.test`."""
    trials = candidate.trials(budget)
    tried: list[tuple[Settings, float]] = []
    if len(trials) > 1 and len(split.validation.queries):
        for settings in trials:
            model = candidate.make(**settings)
            model.fit(split.validation)
            top = recommend(model, split.validation, parse(metric)[1], fallback_days)
            tried.append((settings, quality(top, split.validation, metric)))
    best = max(tried, key=lambda pair: pair[1])[0] if tried else trials[0]
    started = time.perf_counter()
    model = candidate.make(**best)
    model.fit(split.test)
    return Tuned(model, best, tried, time.perf_counter() - started)
