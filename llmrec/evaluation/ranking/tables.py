"""From answers to the tables of `results.json`: estimates, paired comparisons, slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Queries, Wording
from llmrec.evaluation.data.slices import SliceMask
from llmrec.evaluation.ranking.evaluator import Measured
from llmrec.evaluation.ranking.sliced import figure, interactions, slice_records, text_pairs
from llmrec.evaluation.records.estimates import Comparison, Estimate, goodness
from llmrec.evaluation.records.tables import InformationSet, ModelResult, Protocol, Slice
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled
from llmrec.evaluation.statistics.comparisons import Pair, gated
from llmrec.variants import WITH_AND_WITHOUT


@dataclass(frozen=True)
class TableScope:
    """A protocol's questions with all that a table says about them."""

    name: str
    information_set: InformationSet
    wording: Wording
    queries: Queries
    n_items: int  # candidates
    n_missed: int
    n_ranked: int | None = None  # candidates that our rankers order
    t1: int | None = None
    t2: int | None = None


def protocol_table(
    asked: TableScope,
    measured: Sequence[Measured],
    masks: Sequence[SliceMask],
    config: EvaluationConfig,
    seed: int,
) -> tuple[Protocol, Comparison | None]:
    """The table, and the comparison of `text` with `no_text` that decides the verdict.

    Two questions are fixed before the run and asked first: `text` against `no_text`, and our first model against the
    best baseline. Behind this gate stand our first model against each other one, `text` against `no_text` on the second
    metric, in every slice, and in every slice against the rest of the queries.
    """
    queries = asked.queries
    bootstrap = Bootstrap(queries.user, config.bootstrap, seed, queries.item[queries.indptr[:-1]])
    whole = {m.answer.name: figure(bootstrap, m, config.primary_metric) for m in measured}
    first, others = _pairs(measured, whole, config.primary_metric)
    second = text_pairs(bootstrap, measured, config.second_metric)
    by_slice = [_first(text_pairs(bootstrap, measured, config.primary_metric, s)) for s in masks]
    more = interactions(bootstrap, measured, config.primary_metric, masks)
    primary, judged = gated(first, _possible([*others, *second, *by_slice, *more]), config.confidence, config.detect)
    at = iter(judged)
    behind = [next(at) for _ in _possible([*others, *second])]
    parts = [[next(at) if _possible([p]) else None for p in pairs] for pairs in (by_slice, more)]
    found = slice_records(bootstrap, measured, masks, list(zip(*parts, strict=True)), config)
    models = [_model(bootstrap, m, config) for m in measured]
    headline = next((c for c in primary if (c.model, c.against) == WITH_AND_WITHOUT), None)
    return _protocol(asked, models, [*primary, *behind], found), headline


def _possible(pairs: Sequence[Pair | None]) -> list[Pair]:
    """Those of which both sides were measured."""
    return [p for p in pairs if p is not None and np.isfinite(p.a.value) and np.isfinite(p.b.value)]


def _first(pairs: Sequence[Pair]) -> Pair | None:
    return next(iter(pairs), None)


def _pairs(measured: Sequence[Measured], whole: Mapping[str, Resampled], metric: str) -> tuple[list[Pair], list[Pair]]:
    """The two questions that come first, as far as the table can ask them; our first model against all others."""
    ours = measured[0].answer.name
    rivals = [
        m.answer.name for m in measured if m.answer.kind == "baseline" and np.isfinite(whole[m.answer.name].value)
    ]
    best = max(rivals, key=lambda n: goodness(metric, whole[n].value), default=None)
    known = {m.answer.name for m in measured if m.answer.kind == "oracle"}
    pairs = [Pair(ours, n, metric, whole[ours], whole[n]) for n in whole if n != ours and n not in known]
    first = [p for p in pairs if (p.model, p.against) == WITH_AND_WITHOUT or p.against == best]
    return first, [p for p in pairs if p not in first]


def _model(bootstrap: Bootstrap, measured: Measured, config: EvaluationConfig) -> ModelResult:
    answer = measured.answer
    figures = {m: figure(bootstrap, measured, m) for m in measured.values}
    estimates = {m: f.estimate(config.confidence) for m, f in figures.items() if np.isfinite(f.value)}
    return ModelResult(
        name=answer.name, kind=answer.kind, label=answer.label, description=answer.description,
        settings=dict(answer.settings), trials=answer.trials, fallback=answer.fallback, seeds=measured.n_seeds,
        fit_seconds=answer.fit_seconds, recall_over_k=measured.recall_over_k,
        sensitivity=list(answer.sensitivity),
        metrics=estimates | {m: Estimate(value=v) for m, v in measured.whole.items()},
    )  # fmt: skip


def _protocol(
    asked: TableScope, models: list[ModelResult], comparisons: Sequence[Comparison], found: list[Slice]
) -> Protocol:
    words = asked.wording
    return Protocol(
        name=asked.name, information_set=asked.information_set, description=words.description, history=words.history,
        refit=words.refit, candidates=words.candidates, n_queries=len(asked.queries),
        n_users=len(np.unique(asked.queries.user)), n_items=asked.n_items, n_missed=asked.n_missed,
        n_ranked=asked.n_ranked, t1=asked.t1, t2=asked.t2, models=models, comparisons=list(comparisons), slices=found,
    )  # fmt: skip
