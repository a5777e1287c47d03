"""Dots with intervals over one axis, a row each."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Comparison, Estimate
from llmrec.evaluation.records.tables import ResultTable
from llmrec.evaluation.report.figures.axes import AxisScale, Tick, extent, ticks
from llmrec.evaluation.report.format import interval, number, percent, round_percent, short, told_ratio
from llmrec.evaluation.report.glossary import metric_title

#: The colours of verdicts.
TONES = {"better": "better", "worse": "worse", "no difference": "unknown", "cannot tell": "unknown"}


@dataclass(frozen=True)
class ForestRow:
    """A dot with its interval; `tone` picks the colour, positions are percent."""

    label: str
    tone: str
    x: float
    low: float | None
    high: float | None
    value: str
    span: str
    note: str = ""


@dataclass(frozen=True)
class Forest:
    """Dots with intervals over one axis; `zero` and `band` (percent) mark no difference and what is not detectable."""

    caption: str
    rows: list[ForestRow]
    ticks: list[Tick]
    zero: float | None = None
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mark:
    """An entry of a forest plot before it is placed."""

    label: str
    tone: str
    estimate: Estimate
    note: str = ""


def forest(
    caption: str, marks: Sequence[Mark], *, as_percent: bool = False, around_zero: bool = False,
    detectable: float | None = None,
) -> Forest | None:  # fmt: skip
    """Place the marks on one axis; None where there is nothing to place."""
    if not marks:
        return None
    ends = [v for m in marks for v in (m.estimate.value, m.estimate.low, m.estimate.high) if v is not None]
    scale = AxisScale(*extent(ends, include=[0.0] if around_zero else []))
    rows = [_forest_row(m, scale, as_percent, around_zero) for m in marks]
    write = round_percent if as_percent else short
    return Forest(
        caption, rows, [Tick(scale(t), write(t)) for t in ticks(scale.low, scale.high)],
        zero=scale(0.0) if around_zero else None,
        band=(scale(-detectable), scale(detectable)) if detectable and around_zero else None,
    )  # fmt: skip


def _forest_row(mark: Mark, scale: AxisScale, as_percent: bool, signed: bool) -> ForestRow:
    e = mark.estimate
    value = percent(e.value, signed) if as_percent else number(e.value, signed)
    low, high = (None if v is None else scale(v) for v in (e.low, e.high))
    return ForestRow(
        mark.label, mark.tone, scale(e.value), low, high, value, interval(e, as_percent, signed), mark.note
    )


def model_forest(table: ResultTable, metric: str) -> Forest | None:
    """Every model of the table on one metric, coloured by kind."""
    marks = [Mark(m.title, m.kind, m.metrics[metric]) for m in table.models if metric in m.metrics]
    return forest(f"{metric_title(metric)} of each model with its interval", marks) if len(marks) > 1 else None


def comparison_forest(caption: str, comparisons: Sequence[tuple[str, Comparison]]) -> Forest | None:
    """Paired differences around zero, coloured by verdict: as ratios where every comparison has one that is told."""
    told = [told_ratio(c) for _, c in comparisons]
    ratios = all(told)
    marks = [
        Mark(label, TONES[c.verdict], ratio if ratios and ratio else c.difference, c.verdict)
        for (label, c), ratio in zip(comparisons, told, strict=True)
    ]
    return forest(caption, marks, as_percent=ratios, around_zero=True)
