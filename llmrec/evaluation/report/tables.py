"""Each table of the results with everything that is drawn from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from llmrec.evaluation.records.estimates import Comparison, goodness
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import LabelTable, ModelResult, Protocol, ResultTable
from llmrec.evaluation.report.columns import MetricColumn, columns, primary_of
from llmrec.evaluation.report.facts import Facts, label_facts, protocol_facts, protocol_words
from llmrec.evaluation.report.figures.chart import Chart
from llmrec.evaluation.report.figures.forest import Forest, comparison_forest, model_forest
from llmrec.evaluation.report.figures.of_tables import SliceGroup, label_charts, protocol_charts, slice_groups
from llmrec.evaluation.report.glossary import metric_title, table_title
from llmrec.evaluation.report.verdict import VerdictText, of_the_text


@dataclass(frozen=True)
class TableView:
    """One table with everything drawn from it."""

    id: str  # anchor; set once all views are known
    title: str
    table: ResultTable
    columns: list[MetricColumn]
    facts: Facts
    words: Facts = field(default_factory=list)
    verdict: VerdictText | None = None
    forest: Forest | None = None
    comparisons: list[tuple[str, Comparison]] = field(default_factory=list)
    comparison_forest: Forest | None = None
    charts: list[Chart] = field(default_factory=list)
    slices: list[SliceGroup] = field(default_factory=list)

    @property
    def column_groups(self) -> list[list[MetricColumn]]:
        """Columns of judging metrics, and those that describe lists."""
        groups = [[c for c in self.columns if c.descriptive == descriptive] for descriptive in (False, True)]
        return [g for g in groups if g]

    @property
    def alike(self) -> list[str]:
        return [
            f"{' and '.join(c.same)} {'reads' if len(c.same) == 1 else 'read'} as {c.title}"
            for c in self.columns
            if c.same
        ]


_KINDS = ("ours", "baseline", "control", "oracle")


def protocol_view(protocol: Protocol, primary: str) -> TableView:
    """A ranking protocol."""
    metric = primary_of(protocol, primary)
    protocol = protocol.model_copy(update={"models": ranked(protocol.models, metric)})
    pairs, pair_forest = _pairs(protocol)
    return TableView(
        id="", title=table_title(protocol), table=protocol, columns=columns(protocol, primary),
        facts=protocol_facts(protocol), words=protocol_words(protocol),
        forest=model_forest(protocol, metric) if metric else None, comparisons=pairs,
        comparison_forest=pair_forest, slices=slice_groups(protocol, metric) if metric else [],
        charts=protocol_charts(protocol, metric),
    )  # fmt: skip


def label_view(table: LabelTable) -> TableView:
    """Clicks, likes or stars."""
    table = table.model_copy(update={"models": ranked(table.models, primary_of(table, ""))})
    pairs, pair_forest = _pairs(table)
    return TableView(
        id="", title=table_title(table), table=table, columns=columns(table), facts=label_facts(table),
        verdict=of_the_text(table), comparisons=pairs, comparison_forest=pair_forest, charts=label_charts(table),
    )  # fmt: skip


def ranked(models: Sequence[ModelResult], metric: str | None) -> list[ModelResult]:
    """Ours first, then by kind; within a kind the best first."""
    values = {m.name: goodness(metric, m.metrics[metric].value) for m in models if metric and metric in m.metrics}
    return sorted(models, key=lambda m: (_KINDS.index(m.kind), -values.get(m.name, -math.inf)))


def _pairs(table: ResultTable) -> tuple[list[tuple[str, Comparison]], Forest | None]:
    pairs = [(f"{table.title(c.model)} against {table.title(c.against)}", c) for c in table.comparisons]
    drawn = [(label, c) for label, c in pairs if table.comparisons[0].metric == c.metric]
    if len(drawn) < 2:
        return pairs, None
    metric, models = metric_title(drawn[0][1].metric), {c.model for _, c in drawn}
    if len(models) > 1:
        return pairs, comparison_forest(f"Paired differences in {metric}", drawn)
    drawn = [(f"against {table.title(c.against)}", c) for _, c in drawn]
    return pairs, comparison_forest(f"{metric} of {table.title(models.pop())}, paired differences", drawn)


def table_views(results: Results) -> tuple[list[TableView], list[TableView]]:
    """Protocols, point in time first, and labels; with anchors that are safe and distinct whatever they are called."""
    primary = results.run.primary_metric
    protocols = sorted(results.protocols, key=lambda p: p.information_set == "transductive")
    views = [protocol_view(p, primary) for p in protocols] + [label_view(t) for t in results.labels]
    views = [replace(v, id=f"table-{i}") for i, v in enumerate(views)]
    return views[: len(protocols)], views[len(protocols) :]
