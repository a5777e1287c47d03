"""Registered retrievers as baselines: which a run asks, how their settings are tuned, what answers in their place."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import numpy as np

from llmrec.catalogue import MODELS, model_class
from llmrec.config.models import model_config
from llmrec.evaluation.data.folds import Fold, Split
from llmrec.evaluation.ranking.ranking_model import MOST_QUERIES, lists_of
from llmrec.evaluation.ranking.topk import TopK, usual_threads
from llmrec.evaluation.records.tables import Sensitivity
from llmrec.features.asof.interactions import Ints, Scores
from llmrec.features.asof.text_profiles import Vectors
from llmrec.models.base import Bools, FitData, ModelInfo, Requests, Retriever
from llmrec.models.metrics import hits, parse, ranking
from llmrec.models.topk import blocks, top_k

Settings = Mapping[str, Any]
RECENT = "recent_popularity"
_QUICK = ("popularity", RECENT, "time_at_risk", "item_knn", "ease", "ials")
#: Baselines that know nothing of an item which training never saw: asked again, united with recent popularity.
UNITED = ("item_knn", "ease", "ials")
#: Of reciprocal rank fusion, as in the paper.
_FUSION = 60
_SENSITIVITY_QUERIES = 2_000


def grid(**values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """All combinations of the values, as settings."""
    return [dict(zip(values, combination, strict=True)) for combination in product(*values.values())]


#: Settings that tuning may choose from; a model that is not here is fitted as it comes.
GRIDS: dict[str, Sequence[Settings]] = {
    RECENT: grid(decay_days=(7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 730.0)),
    "time_at_risk": grid(decay_days=(7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 730.0)),
    "item_knn": grid(neighbours=(20, 50, 100, 200, 0)),
    "ease": grid(regularization=(20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)),
    "ials": grid(regularization=(1.0, 10.0, 30.0), alpha=(1.0, 4.0), factors=(32, 64)),
    "bpr": grid(learning_rate=(0.02, 0.05), regularization=(0.02, 0.05), prior=(0.5, 1.0), iterations=(200,)),
    "slim": grid(alpha=(0.01, 0.1, 0.3, 1.0)),
    "ncf": grid(weight_decay=(1e-2, 0.3), epochs=(10, 30)),
    "text_logistic": grid(C=(0.001, 0.1)),
    "text_factorization": grid(weight_decay=(1e-4, 1e-2), epochs=(10, 30)),
}


def baseline_names(size: Literal["quick", "full"], names: Sequence[str] | None, has_text: bool) -> list[str]:
    """Those of a size, or those named; recent popularity first, because it is everybody's fallback.

    Without vectors of reviews there are no baselines on text; models that read a bundle's features are no baselines.
    """
    readable = ("events", "text") if has_text else ("events",)
    known = [n for n in MODELS["retriever"] if info(n).reads in readable]
    wanted = names if names is not None else (_QUICK if size == "quick" else known)
    return list(dict.fromkeys((RECENT, *(n for n in wanted if n in known))))


def info(name: str) -> ModelInfo:
    """What a retriever says of itself."""
    found: ModelInfo = model_class("retriever", name).INFO
    return found


def make(name: str, settings: Settings) -> Retriever:
    """An unfitted baseline."""
    model: Retriever = model_class("retriever", name)(model_config("retriever", {"name": name, **settings}))
    return model


@dataclass(frozen=True)
class WithFallback:
    """A fitted baseline with what answers where it knows nothing of the user: popularity with decay `fallback_days`.

    None: such users get lists in the order of the tie hash, unless the model scores them itself. `trained` (n_items,):
    an item that is not gets the place that popularity gives it (reciprocal ranks: Cormack, Clarke & Büttcher, SIGIR
    2009); None: no item is treated so.
    """

    model: Retriever
    fallback_days: float | None = None
    trained: Bools | None = None

    def parts(self, fold: Fold) -> list[slice]:
        """Blocks of queries."""
        return blocks(len(fold.queries), fold.data.n_items, most=MOST_QUERIES)

    @property
    def threads(self) -> int:
        """How many blocks one process answers at a time."""
        return usual_threads()

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK]]:
        """Block -> lists (B, k) of its queries."""
        queries, data = fold.queries, fold.data
        first = queries.event[queries.indptr[:-1]]

        def answer(rows: slice) -> tuple[TopK]:
            requests = Requests(queries.user[rows], queries.time[rows], fold.as_of, events=first[rows])
            scores, known = self._scores(requests), fold.candidates(rows)
            if known is not None:
                scores[~known] = -np.inf
            if data.exclude_seen:
                scores[requests.histories.nonzero()] = -np.inf
            scores[:, 0] = -np.inf  # no item
            return (TopK(*top_k(scores, k, data.user_hash[requests.users], data.item_hash)),)

        return answer

    def _scores(self, requests: Requests) -> Scores:
        scores = np.array(self.model.scores(requests), np.float32)
        silent = ~self.model.answers(requests)
        if silent.any() and self.fallback_days is not None:
            scores[silent] = requests.as_of.popularity(requests.times[silent], self.fallback_days)
        if self.trained is None:
            return scores
        places, new = _places(scores), np.flatnonzero(~self.trained)
        places[:, new] = _places_of(requests.as_of.popularity(requests.times, self.fallback_days), new)
        return np.asarray(1 / (_FUSION + places), np.float32)


def _places(scores: Scores) -> Scores:
    """(B, n_items) from 1, the best first; ties share one, which keeps the order of the catalogue out."""
    order, n = np.argsort(scores, axis=1), scores.shape[1]
    ordered = np.take_along_axis(scores, order, axis=1)
    first = np.ones(scores.shape, bool)  # of those that tie
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    found = np.empty(scores.shape, np.float32)
    for row in range(len(scores)):
        start = np.flatnonzero(first[row])
        end = np.append(start[1:], n)
        found[row, order[row]] = np.repeat(_shared(start, end, n), end - start)
    return found


def _shared(below: Ints, up_to: Ints, n: int) -> Scores:
    """The place of those that tie: the mean of theirs, where `below` of n are worse and `up_to` no better."""
    return np.asarray(n - (below + up_to) / 2 + 0.5, np.float32)


def _places_of(scores: Scores, columns: Ints) -> Scores:
    """(B, len(columns)) `_places` of these columns alone: values are sorted, and looked up, but not ordered."""
    ordered, found = np.sort(scores, axis=1), np.empty((len(scores), len(columns)), np.float32)
    for row, values in enumerate(scores[:, columns]):
        below, up_to = (np.searchsorted(ordered[row], values, side) for side in ("left", "right"))
        found[row] = _shared(below, up_to, scores.shape[1])
    return found


@dataclass(frozen=True)
class Tuned:
    """A fitted baseline, the settings that validation chose, and what that cost."""

    model: Retriever
    settings: Settings
    scores: list[tuple[Settings, float]] = field(default_factory=list)
    fit_seconds: float = 0.0
    sensitivity: list[Sensitivity] = field(default_factory=list)


def fit_data(fold: Fold, vectors: Vectors | None, seed: int) -> FitData:
    """What a model may learn from in a fold."""
    return FitData(fold.data, fold.train, fold.as_of, vectors, seed)


def quality(top: TopK, fold: Fold, metric: str) -> float:
    """The mean of a ranking metric such as `ndcg@10` over the fold's queries."""
    name, k = parse(metric)
    q = fold.queries
    hit = hits(top.item_rows, q.indptr, q.item, fold.data.n_items)
    return float(ranking(hit, q.n_relevant, [k], [name])[metric].mean())


def trials(settings: Sequence[Settings], budget: int) -> Sequence[Settings]:
    """The settings that a budget allows: evenly spread over the grid."""
    picked = np.unique(np.linspace(0, len(settings) - 1, min(budget, len(settings))).round().astype(int))
    return [settings[i] for i in picked]


def tune(
    name: str, split: Split, metric: str, budget: int, fallback_days: float | None, vectors: Vectors | None = None,
    seed: int = 7,
) -> Tuned:  # fmt: skip
    """Choose among at most `budget` settings on `split.validation` by `metric`, then fit on `split.test`."""
    allowed = trials(GRIDS.get(name, ({},)), budget)
    tried: list[tuple[Settings, float]] = []
    if len(allowed) > 1 and len(split.validation.queries):
        for settings in allowed:
            model = make(name, settings)
            model.fit(fit_data(split.validation, vectors, seed))
            top = lists_of(WithFallback(model, fallback_days), split.validation, parse(metric)[1])
            tried.append((settings, quality(top, split.validation, metric)))
    best = max(tried, key=lambda pair: pair[1])[0] if tried else allowed[0]
    started = time.perf_counter()
    model = make(name, best)
    model.fit(fit_data(split.test, vectors, seed))
    seconds = time.perf_counter() - started
    return Tuned(model, best, tried, seconds, _sensitivity(name, split, metric, tried) if name == RECENT else [])


def _sensitivity(
    name: str, split: Split, metric: str, tried: Sequence[tuple[Settings, float]]
) -> list[Sensitivity]:  # fmt: skip
    """What each setting would have reached on the test: it is shown, and chooses nothing.

    On at most `_SENSITIVITY_QUERIES` queries, spread evenly.
    """
    queries, found = split.test.queries, []
    rows = np.unique(np.linspace(0, len(queries) - 1, min(len(queries), _SENSITIVITY_QUERIES)).round().astype(np.int64))
    asked = replace(split.test, queries=queries.take(rows))
    for settings, validation in tried if len(rows) else ():
        model = make(name, settings)
        model.fit(fit_data(asked, None, 0))
        test = quality(lists_of(WithFallback(model), asked, parse(metric)[1]), asked, metric)
        found.append(Sensitivity(settings=dict(settings), validation=validation, test=test))
    return found
