"""What the models of one table answered: lists go to their files block by block, figures of them are kept.

Per query a model leaves some forty numbers, whatever the length of its lists and the number of items.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from llmrec.evaluation.data.folds import Fold, Queries
from llmrec.evaluation.ranking.block_runner import Columns, deal
from llmrec.evaluation.ranking.lists import Lists
from llmrec.evaluation.ranking.ranking_model import RankingModel
from llmrec.evaluation.ranking.topk import TopK
from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.records.tables import ModelKind, Sensitivity
from llmrec.evaluation.statistics.bootstrap import mean_over_seeds
from llmrec.features.asof.interactions import Floats, Ints
from llmrec.models import metrics

#: Cut-offs at which recall is drawn.
CURVE = (1, 2, 5, 10, 20, 30, 50, 75, 100)
_RECALL, _ITEMS, _SCORES = "recall_over_k", "items", "scores"


@dataclass(frozen=True)
class Answer:
    """What the report says about one model beside its figures."""

    name: str
    kind: ModelKind
    label: str
    description: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: int | None = None
    fallback: str = ""
    fit_seconds: float | None = None
    sensitivity: Sequence[Sensitivity] = ()

    def after(self, earlier: "Answer") -> "Answer":
        """The same model fitted anew for a further fold: settings are the last fold's, costs add up."""
        seconds = [a.fit_seconds for a in (earlier, self) if a.fit_seconds is not None]
        trials = None if self.trials is None else self.trials + (earlier.trials or 0)
        return replace(self, trials=trials, fit_seconds=sum(seconds) if seconds else None)


@dataclass(frozen=True)
class EvaluatedModel:
    """Models that answer together, one an answer, as fitted with each seed."""

    answers: tuple[Answer, ...]
    seeds: Sequence[RankingModel]


@dataclass(frozen=True)
class Catalogue:
    """What beyond-accuracy metrics measure against, all of it from training rows."""

    popularity: Ints  # (n_items,) training events
    matrix: sp.csc_matrix  # (n_users, n_items) 0/1
    n_candidates: int
    vectors: npt.NDArray[np.float32] | None  # (n_items, dim); zero rows where there is no text

    @classmethod
    def of(cls, fold: Fold, vectors: npt.NDArray[np.float32] | None) -> "Catalogue":
        data = fold.data
        popularity = np.bincount(data.item[fold.train], minlength=data.n_items)
        last = fold.queries.time.max(initial=0)
        n = int((data.known_from < last).sum()) if fold.known_items_only else data.n_items - 1
        return cls(popularity, sp.csc_matrix(data.matrix(fold.train)), n, vectors)


@dataclass(frozen=True)
class EvalTask:
    """The fold that is asked, how long lists are, and what is measured of them."""

    fold: Fold
    catalogue: Catalogue
    cutoffs: tuple[int, ...]
    k: int

    def values(self, rows: slice, top: TopK) -> Columns:
        """Metric -> (B,) of the block's lists; `recall_over_k` (B, cut-offs of CURVE that the lists reach)."""
        part, at = self.fold.queries.part(rows), self.cutoffs[0]
        hit = metrics.hits(top.item_rows, part.indptr, part.item, self.fold.data.n_items)
        found: Columns = dict(metrics.ranking(hit, part.n_relevant, self.cutoffs))
        found[_RECALL] = metrics.recall_curve(hit, part.n_relevant, curve(self.k))
        first, c = top.item_rows[:, :at], self.catalogue
        found[f"novelty@{at}"] = metrics.novelty(first, c.popularity)
        found[f"diversity_cooccurrence@{at}"] = metrics.diversity_cooccurrence(first, c.matrix)
        if c.vectors is not None:
            found[f"diversity_text@{at}"] = metrics.diversity_text(first, c.vectors)
        return found


def curve(k: int) -> list[int]:
    """The cut-offs of CURVE that lists of k reach."""
    return [c for c in CURVE if c <= k]


@dataclass(frozen=True)
class BlockEvaluator:
    """Work for `deal`: for the nth of the first `n_models` that answer, columns `n.items`, `n.scores`, `n.METRIC`."""

    model: RankingModel
    questions: EvalTask
    n_models: int

    @property
    def parts(self) -> Sequence[slice]:
        return self.model.parts(self.questions.fold)

    @property
    def threads(self) -> int:
        return self.model.threads

    def open(self) -> Callable[[slice], Columns]:
        q = self.questions
        answer = self.model.open(q.fold, q.k)

        def columns(rows: slice) -> Columns:
            found: Columns = {}
            for n, top in enumerate(answer(rows)[: self.n_models]):
                lists = {_ITEMS: top.item_rows.astype(np.int32), _SCORES: top.scores}
                found |= {f"{n}.{name}": v for name, v in (lists | q.values(rows, top)).items()}
            return found

        return columns


class MetricAccumulator:
    """The figures of one model with one seed, block by block, over one fold after the other."""

    def __init__(self, n_items: int, first: int) -> None:
        """`first`: of each list so many items count for coverage."""
        self.count, self._first, self._parts = np.zeros(n_items, np.int64), first, list[Columns]()

    def add(self, columns: Columns) -> None:
        self.count += metrics.listed(columns[_ITEMS][:, : self._first], len(self.count))
        self._parts.append({m: v for m, v in columns.items() if m not in (_ITEMS, _SCORES)})

    @property
    def values(self) -> dict[str, Floats]:
        """Metric -> (Q,)."""
        names = self._parts[0] if self._parts else ()
        return {m: np.concatenate([p[m] for p in self._parts]) for m in names}


class Measured:
    """One model's figures, averaged over its seeds: `values` metric -> (Q,)."""

    def __init__(self, answer: Answer, tallies: Sequence[MetricAccumulator], n_candidates: int, first: int) -> None:
        self.answer, self.n_seeds = answer, len(tallies)
        self._by_seed = [t.values for t in tallies]
        values = {m: mean_over_seeds([s[m] for s in self._by_seed]) for m in self._by_seed[0]}
        recall = values.pop(_RECALL, np.empty((0, 0))).mean(axis=0) if values else []
        self.recall_over_k = [Point(x=k, y=float(y)) for k, y in zip(CURVE, recall, strict=False)]
        self.values: dict[str, Floats] = values
        self.whole = {
            f"{name}@{first}": float(np.mean([metric(t.count, n_candidates) for t in tallies]))
            for name, metric in (("coverage", metrics.coverage), ("gini", metrics.gini))
        }

    def by_seed(self, metric: str) -> list[Floats]:
        """(Q,) of each training seed."""
        return [values[metric] for values in self._by_seed]


class Table:
    """All models of one protocol, asked one after the other about one fold after the other."""

    def __init__(self, lists: Lists, catalogue: Catalogue, cutoffs: Sequence[int], k: int) -> None:
        self._lists, self._catalogue, self._cutoffs, self._k = lists, catalogue, tuple(cutoffs), k
        self._answers: dict[str, Answer] = {}
        self._tallies: dict[str, list[MetricAccumulator]] = {}

    def ask(self, evaluated: EvaluatedModel, fold: Fold, first_query: int) -> None:
        """Write the lists and keep the figures; the fold's queries are numbered from `first_query`."""
        questions = EvalTask(fold, self._catalogue, self._cutoffs, self._k)
        for answer in evaluated.answers:
            earlier = self._answers.get(answer.name)
            self._answers[answer.name] = answer if earlier is None else answer.after(earlier)
        for seed, model in enumerate(evaluated.seeds):
            tallies = [self._tally(a.name, seed, fold.data.n_items) for a in evaluated.answers]
            at = 0
            for columns in deal(BlockEvaluator(model, questions, len(tallies))):
                size = len(columns[f"0.{_ITEMS}"])
                users = fold.queries.user[at : at + size]
                for n, (answer, tally) in enumerate(zip(evaluated.answers, tallies, strict=True)):
                    own = {c.removeprefix(f"{n}."): v for c, v in columns.items() if c.startswith(f"{n}.")}
                    tally.add(own)
                    self._lists.write(answer.name, seed, first_query + at, users, TopK(own[_ITEMS], own[_SCORES]))
                at += size

    def _tally(self, name: str, seed: int, n_items: int) -> MetricAccumulator:
        held = self._tallies.setdefault(name, [])
        if seed == len(held):
            held.append(MetricAccumulator(n_items, self._cutoffs[0]))
        return held[seed]

    @property
    def measured(self) -> list[Measured]:
        """Each model's figures, in the order in which they were first asked."""
        n, first = self._catalogue.n_candidates, self._cutoffs[0]
        return [Measured(a, self._tallies[name], n, first) for name, a in self._answers.items()]


def joined_queries(parts: Sequence[Queries]) -> Queries:
    """The queries of several folds, one after the other."""
    starts = np.cumsum([0] + [len(p.item) for p in parts])
    indptr = [p.indptr[:-1] + s for p, s in zip(parts, starts, strict=False)] + [starts[-1:]]
    columns = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("user", "time", "item", "event")}
    return Queries(indptr=np.concatenate(indptr), **columns)
