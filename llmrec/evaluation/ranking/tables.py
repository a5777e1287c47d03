"""From answers to the tables of `results.json`: estimates, paired comparisons, slices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Queries, Wording
from llmrec.evaluation.data.slices import Mask, SliceMask
from llmrec.evaluation.ranking.evaluator import Measured
from llmrec.evaluation.records.estimates import Comparison, Estimate
from llmrec.evaluation.records.tables import InformationSet, ModelResult, Protocol, Slice
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.features.asof.interactions import Floats
from llmrec.models.topk import BLOCK_CELLS
from llmrec.variants import NO_TEXT, TEXT, WITH_AND_WITHOUT


@dataclass(frozen=True)
class Asked:
    """A protocol's questions with all that a table says about them."""

    name: str
    information_set: InformationSet
    wording: Wording
    queries: Queries
    n_items: int  # candidates
    n_missed: int
    t1: int | None = None
    t2: int | None = None


def protocol_table(
    asked: Asked,
    measured: Sequence[Measured],
    masks: Sequence[SliceMask],
    config: EvaluationConfig,
    seed: int,
) -> tuple[Protocol, Comparison | None]:
    """The table, and the one comparison that was fixed before the run: `text` against `no_text`, uncorrected.

    The table's comparisons set its first model against each other one, and in every slice `text` against `no_text`;
    all of them share one correction.
    """
    columns = _Columns(Bootstrap(asked.queries.user, config.bootstrap, seed))
    models = [_ModelColumns(m, config, columns) for m in measured]
    primary = {m.answer.name: columns.add(m.values[config.primary_metric]) for m in measured}
    cells = _slice_columns(measured, masks, config, columns)
    drawn = columns.draw()
    ours = measured[0].answer.name
    whole = [
        Pair(ours, n, config.primary_metric, drawn[primary[ours]], drawn[c]) for n, c in primary.items() if n != ours
    ]
    by_slice = [
        Pair(TEXT, NO_TEXT, config.primary_metric, drawn[cell[TEXT][0]], drawn[cell[NO_TEXT][0]])
        for cell in cells
        if {TEXT, NO_TEXT} <= set(cell)
    ]
    judged = compare([*whole, *by_slice], config.confidence)
    kept = sum(np.isfinite(p.a.value) and np.isfinite(p.b.value) for p in whole)
    single = [p for p in whole if (p.model, p.against) == WITH_AND_WITHOUT]
    found = _slices(masks, cells, judged[kept:], drawn, config)
    table = _protocol(asked, [finish(drawn) for finish in models], judged[:kept], found)
    return table, next(iter(compare(single, config.confidence)), None)


class _Columns:
    """Per-query values of all models and slices, each resampled with the same draws."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap, self._values = bootstrap, list[tuple[Floats, Mask | None]]()

    def add(self, values: Floats, mask: Mask | None = None) -> int:
        """The number under which `draw` returns the column; `mask`: the queries of a slice."""
        self._values.append((values, mask))
        return len(self._values) - 1

    def draw(self) -> list[Resampled]:
        """In groups, so that slices of many models need not lie in memory side by side."""
        size, found = max(1, BLOCK_CELLS // max(self._bootstrap.n_users, 1)), list[Resampled]()
        for start in range(0, len(self._values), size):
            group = self._values[start : start + size]
            found += self._bootstrap.means([v if m is None else np.where(m, v, np.nan) for v, m in group])
        return found


class _ModelColumns:
    """A `ModelResult` whose estimates come once everything has been drawn."""

    def __init__(self, measured: Measured, config: EvaluationConfig, columns: _Columns) -> None:
        self._measured, self._confidence = measured, config.confidence
        self._columns = {m: columns.add(v) for m, v in measured.values.items()}

    def __call__(self, drawn: list[Resampled]) -> ModelResult:
        answer = self._measured.answer
        found = {m: drawn[c] for m, c in self._columns.items() if np.isfinite(drawn[c].value)}
        estimates = {m: s.estimate(self._confidence) for m, s in found.items()}
        return ModelResult(
            name=answer.name, kind=answer.kind, label=answer.label, description=answer.description,
            settings=dict(answer.settings), trials=answer.trials, fallback=answer.fallback,
            seeds=self._measured.n_seeds, fit_seconds=answer.fit_seconds, recall_over_k=self._measured.recall_over_k,
            metrics=estimates | {m: Estimate(value=v) for m, v in self._measured.whole.items()},
        )  # fmt: skip


#: For each slice: model -> the columns of its primary metric and of recall at the last cut-off.
Cells = list[dict[str, tuple[int, int]]]


def _slice_columns(
    measured: Sequence[Measured], masks: Sequence[SliceMask], config: EvaluationConfig, columns: _Columns
) -> Cells:
    names = (config.primary_metric, f"recall@{config.cutoffs[-1]}")
    return [
        {
            m.answer.name: (
                columns.add(m.values[names[0]], s.mask),
                columns.add(m.values[names[1]], s.mask),
            )
            for m in measured
        }
        for s in masks
    ]


def _slices(
    masks: Sequence[SliceMask],
    cells: Cells,
    judged: Sequence[Comparison],
    drawn: list[Resampled],
    config: EvaluationConfig,
) -> list[Slice]:
    names = (config.primary_metric, f"recall@{config.cutoffs[-1]}")
    found = []
    for i, (s, cell) in enumerate(zip(masks, cells, strict=True)):
        models = {
            model: {name: drawn[c].estimate(config.confidence) for name, c in zip(names, columns, strict=True)}
            for model, columns in cell.items()
        }
        comparisons = [judged[i]] if judged else []
        found.append(Slice(by=s.by, level=s.level, n=int(s.mask.sum()), models=models, comparisons=comparisons))
    return found


def _protocol(
    asked: Asked, models: list[ModelResult], comparisons: Sequence[Comparison], found: list[Slice]
) -> Protocol:
    words = asked.wording
    return Protocol(
        name=asked.name, information_set=asked.information_set, description=words.description, history=words.history,
        refit=words.refit, candidates=words.candidates, n_queries=len(asked.queries),
        n_users=len(np.unique(asked.queries.user)), n_items=asked.n_items, n_missed=asked.n_missed, t1=asked.t1,
        t2=asked.t2, models=models, comparisons=list(comparisons), slices=found,
    )  # fmt: skip
