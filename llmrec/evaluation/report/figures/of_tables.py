"""The figures of one table: metrics against each other, calibration, parts of the queries."""

from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.records.tables import LabelTable, Protocol, ResultTable, Slice
from llmrec.evaluation.report.columns import columns
from llmrec.evaluation.report.figures.chart import N_COLOURS, Chart, ChartLine, chart
from llmrec.evaluation.report.figures.forest import Forest, comparison_forest
from llmrec.evaluation.report.format import count, number, percent
from llmrec.evaluation.report.glossary import metric_title


def protocol_charts(protocol: Protocol, metric: str | None) -> list[Chart]:
    """Recall over the list's length; accuracy against coverage."""
    return [c for c in (_recall_chart(protocol), _coverage_chart(protocol, metric)) if c]


def _recall_chart(protocol: Protocol) -> Chart | None:
    """Ours and the baselines that find most, as many lines as there are colours."""
    models = [m for m in protocol.models if m.recall_over_k]
    found = sorted(models, key=lambda m: (m.kind != "ours", -m.recall_over_k[-1].y))[:N_COLOURS]
    lines = [ChartLine(m.title, m.recall_over_k, m.kind) for m in found]
    left_out = f" (the {len(found)} of {len(models)} that find most)" if len(models) > len(found) else ""
    return chart(f"Recall as the list grows{left_out}", "k, log scale", "Recall@k", lines, log_x=True, from_zero=True)


def _coverage_chart(protocol: Protocol, metric: str | None) -> Chart | None:
    """Accuracy against the share of the catalogue that anybody is shown."""
    coverage = next((c.metric for c in columns(protocol) if c.metric.startswith("coverage")), None)
    if metric is None or coverage is None:
        return None
    lines = [
        ChartLine(
            m.title, [Point(x=m.metrics[coverage].value, y=m.metrics[metric].value)], m.kind,
            [f"{m.title}: {percent(m.metrics[coverage].value)} of items, {number(m.metrics[metric].value)}"],
        )
        for m in protocol.models if {coverage, metric} <= set(m.metrics)
    ]  # fmt: skip
    title = f"{metric_title(metric)} against coverage of the catalogue"
    return chart(title, metric_title(coverage), metric_title(metric), lines, numbered=True)


def label_charts(table: LabelTable) -> list[Chart]:
    """Predicted against observed shares, where they are probabilities; the diagonal is perfect."""
    lines = [
        ChartLine(m.title, [Point(x=b.predicted, y=b.observed) for b in m.calibration], m.kind,
                  [f"{m.title}: {percent(b.predicted)} predicted, {percent(b.observed)} observed in {count(b.n)} rows"
                   for b in m.calibration])
        for m in table.models
    ]  # fmt: skip
    drawn = chart("Calibration: does 30 % mean 30 %?", "Predicted", "Observed", lines, square=True)
    return [drawn] if drawn else []


@dataclass(frozen=True)
class SliceGroup:
    """All levels of one slicing, on one metric."""

    by: str
    metric: str
    slices: list[Slice]
    models: list[str]
    forest: Forest | None


def slice_groups(table: ResultTable, metric: str) -> list[SliceGroup]:
    """One for each way in which the queries are sliced."""
    return [_slice_group(table, by, metric) for by in dict.fromkeys(s.by for s in table.slices)]


def _slice_group(table: ResultTable, by: str, metric: str) -> SliceGroup:
    slices = [s for s in table.slices if s.by == by]
    models = [m.name for m in table.models if any(metric in s.models.get(m.name, {}) for s in slices)]
    marks = [(s.level, c) for s in slices for c in s.comparisons if c.metric == metric]
    kinds = {(c.model, c.against) for _, c in marks}
    drawn = None
    if len(kinds) == 1 and len(marks) > 1:
        model, against = (table.title(name) for name in kinds.pop())
        drawn = comparison_forest(f"{metric_title(metric)} by {by}: {model} against {against}", marks)
    return SliceGroup(by, metric, slices, models, drawn)
