"""What the models of one table answered, and the estimates that follow from the lists alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from llmrec.evaluation import metrics
from llmrec.evaluation.interactions import Floats, Interactions, Ints
from llmrec.evaluation.intervals import mean_over_seeds
from llmrec.evaluation.protocols import Fold, Queries
from llmrec.evaluation.results import ModelKind, Point
from llmrec.evaluation.topk import TopK

#: Cut-offs at which recall is drawn.
CURVE = (1, 2, 5, 10, 20, 30, 50, 75, 100)


@dataclass(frozen=True)
class Answer:
    """One model's lists, one `TopK` a seed, with what the report says about the model."""

    name: str
    kind: ModelKind
    label: str
    description: str
    lists: list[TopK]
    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: int | None = None
    fallback: str = ""
    fit_seconds: float | None = None


@dataclass(frozen=True)
class Catalogue:
    """What beyond-accuracy metrics measure against, all of it from training rows."""

    popularity: Ints  # (n_items,) training events
    matrix: sp.csr_matrix  # (n_users, n_items) 0/1
    n_candidates: int
    vectors: npt.NDArray[np.float32] | None  # (n_items, dim); zero rows where there is no text

    @classmethod
    def of(cls, fold: Fold, vectors: npt.NDArray[np.float32] | None) -> "Catalogue":
        data = fold.data
        popularity = np.bincount(data.item[fold.train], minlength=data.n_items)
        last = fold.queries.time.max(initial=0)
        n = int((data.known_from < last).sum()) if fold.known_items_only else data.n_items
        return cls(popularity, data.matrix(fold.train), n, vectors)


class Measured:
    """Per-query metrics of one answer, averaged over its seeds: `values` metric -> (Q,)."""

    def __init__(self, answer: Answer, queries: Queries, data: Interactions, cutoffs: Sequence[int]) -> None:
        self.answer, self._queries = answer, queries
        self._hits = [metrics.hits(t.item_rows, queries.indptr, queries.item, data.n_items) for t in answer.lists]
        by_seed = [metrics.ranking(h, queries.n_relevant, cutoffs) for h in self._hits]
        self.values: dict[str, Floats] = {m: mean_over_seeds([s[m] for s in by_seed]) for m in by_seed[0]}

    def beyond(self, catalogue: Catalogue, k: int) -> tuple[dict[str, Floats], dict[str, float]]:
        """(per-query values, figures of all lists together) of the metrics in BEYOND_ACCURACY at k."""
        lists = [t.item_rows[:, :k] for t in self.answer.lists]
        values = {f"novelty@{k}": [metrics.novelty(rows, catalogue.popularity) for rows in lists]}
        values[f"diversity_cooccurrence@{k}"] = [metrics.diversity_cooccurrence(r, catalogue.matrix) for r in lists]
        if catalogue.vectors is not None:
            values[f"diversity_text@{k}"] = [metrics.diversity_text(r, catalogue.vectors) for r in lists]
        whole = {
            f"coverage@{k}": float(np.mean([metrics.coverage(r, catalogue.n_candidates) for r in lists])),
            f"gini@{k}": float(np.mean([metrics.gini(r, catalogue.n_candidates) for r in lists])),
        }
        return {m: mean_over_seeds(v) for m, v in values.items()}, whole

    @cached_property
    def recall_over_k(self) -> list[Point]:
        """Mean recall at the cut-offs in CURVE that the lists reach."""
        curve = np.mean([metrics.recall_curve(h, self._queries.n_relevant) for h in self._hits], axis=0)
        return [Point(x=k, y=float(curve[k - 1])) for k in CURVE if k <= len(curve)]


def joined_queries(parts: Sequence[Queries]) -> Queries:
    """The queries of several folds, one after the other."""
    starts = np.cumsum([0] + [len(p.item) for p in parts])
    indptr = [p.indptr[:-1] + s for p, s in zip(parts, starts, strict=False)] + [starts[-1:]]
    columns = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("user", "time", "item", "event")}
    return Queries(indptr=np.concatenate(indptr), **columns)


def joined_answers(parts: Sequence[Answer]) -> Answer:
    """One model's answers to several folds, fitted anew for each; the settings are the last fold's."""
    last = parts[-1]
    lists = [
        TopK(np.concatenate([t.item_rows for t in seed]), np.concatenate([t.scores for t in seed]))
        for seed in zip(*(p.lists for p in parts), strict=True)
    ]
    seconds = [p.fit_seconds for p in parts if p.fit_seconds is not None]
    return Answer(
        last.name, last.kind, last.label, last.description, lists, last.settings,
        None if last.trials is None else sum(p.trials or 0 for p in parts), last.fallback,
        sum(seconds) if seconds else None,
    )  # fmt: skip
