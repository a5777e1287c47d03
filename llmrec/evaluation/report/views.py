"""What each section of the report shows, picked from `Results`: columns, figures and facts, ready to be drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from llmrec.evaluation.records.estimates import Comparison, Point, lower_is_better
from llmrec.evaluation.records.tables import LabelTable, ModelResult, Protocol, ResultTable
from llmrec.evaluation.report import plots
from llmrec.evaluation.report.format import VerdictText, count, date, metric_title, missed, number, of_the_text, percent
from llmrec.evaluation.report.plots import Chart, Forest, Line

Facts = list[tuple[str, str]]
#: Metrics that describe lists rather than judge them: no reading is "the best".
_DESCRIPTIVE = ("coverage", "gini", "novelty", "diversity_text", "diversity_cooccurrence")
_READING_ORDER = ("ndcg", "recall", "mrr", "map", "hit_rate", "recall_min", "precision")


@dataclass(frozen=True)
class Column:
    metric: str
    title: str
    lower: bool
    best: str | None  # name of the model with the best reading
    same: tuple[str, ...] = ()  # titles of metrics that read alike for every model

    @property
    def descriptive(self) -> bool:
        return self.metric.split("@")[0] in _DESCRIPTIVE


def columns(table: ResultTable, primary: str = "") -> list[Column]:
    """Every metric of the table, the primary one first; metrics that read alike (one relevant item a query makes
    recall the hit rate) share a column."""
    alike: dict[tuple[float | None, ...], list[str]] = {}
    for metric in sorted(dict.fromkeys(k for m in table.models for k in m.metrics), key=_reading_order(primary)):
        readings = tuple(m.metrics[metric].value if metric in m.metrics else None for m in table.models)
        merge = len(readings) > 1 and _reading_rank(metric) is not None
        alike.setdefault(readings if merge else (*readings, float(len(alike))), []).append(metric)
    return [
        Column(m, metric_title(m), lower_is_better(m), _best(table, m), tuple(metric_title(o) for o in others))
        for m, *others in alike.values()
    ]


def _reading_rank(metric: str) -> int | None:
    name, at, _ = metric.partition("@")  # without a cut-off it is the recall of labels, and keeps its place
    return _READING_ORDER.index(name) if at and name in _READING_ORDER else None


def _reading_order(primary: str) -> Callable[[str], tuple[bool, bool, int, int]]:
    """The primary metric, then by cut-off and name; what describes lists comes last."""

    def key(metric: str) -> tuple[bool, bool, int, int]:
        name, _, k = metric.partition("@")
        rank = _reading_rank(metric)
        place = len(_READING_ORDER) if rank is None else rank
        return metric != primary, name in _DESCRIPTIVE, int(k) if k.isdigit() else 0, place

    return key


def _best(table: ResultTable, metric: str) -> str | None:
    have = [m for m in table.models if metric in m.metrics]
    if len(have) < 2 or metric.split("@")[0] in _DESCRIPTIVE:
        return None
    sign = -1 if lower_is_better(metric) else 1
    return max(have, key=lambda m: sign * m.metrics[metric].value).name


@dataclass(frozen=True)
class SliceGroup:
    """All levels of one slicing, on one metric."""

    by: str
    metric: str
    slices: list[object]
    models: list[str]
    forest: Forest | None


@dataclass(frozen=True)
class TableView:
    """One table with everything drawn from it."""

    id: str  # anchor; set once all views are known
    title: str
    table: ResultTable
    columns: list[Column]
    facts: Facts
    titles: dict[str, str]
    words: Facts = field(default_factory=list)
    verdict: VerdictText | None = None
    forest: Forest | None = None
    comparisons: list[tuple[str, Comparison]] = field(default_factory=list)
    comparison_forest: Forest | None = None
    charts: list[Chart] = field(default_factory=list)
    slices: list[SliceGroup] = field(default_factory=list)

    @property
    def column_groups(self) -> list[list[Column]]:
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


_KIND_ORDER = {"ours": 0, "baseline": 1, "ablation": 2, "control": 3}
_TITLES = {
    "temporal": "Ranking, by the clock",
    "frozen": "Ranking, one list a user at T2",
    "rolling_origins": "Ranking, rolling origins",
    "leave_last_out": "Ranking, leave last out",
    "random": "Ranking, random split",
    "click": "Clicks",
    "like": "Likes",
    "stars": "Stars",
}


def table_title(table: ResultTable | None) -> str:
    """What readers see: two tables of one label keep their own names."""
    if isinstance(table, LabelTable):
        return _TITLES[table.label] if table.name in (table.label, f"{table.label}s") else table.name
    if table is None:
        return ""
    name, _, part = table.name.partition("/")  # rolling_origins/2
    return " ".join(p for p in (_TITLES.get(name, f"Ranking, {name}"), part) if p)


def protocol_view(protocol: Protocol, primary: str) -> TableView:
    """A ranking protocol."""
    metric = _primary_of(protocol, primary)
    protocol = protocol.model_copy(update={"models": ranked(protocol.models, metric)})
    pairs, pair_forest = _pairs(protocol)
    return TableView(
        id="", title=table_title(protocol), table=protocol, columns=columns(protocol, primary),
        facts=_protocol_facts(protocol), words=_protocol_words(protocol), titles=titles(protocol),
        forest=plots.model_forest(protocol, metric) if metric else None, comparisons=pairs,
        comparison_forest=pair_forest, slices=slice_groups(protocol, metric) if metric else [],
        charts=[c for c in (recall_chart(protocol), coverage_chart(protocol, metric)) if c],
    )  # fmt: skip


def label_view(table: LabelTable) -> TableView:
    """Clicks, likes or stars."""
    table = table.model_copy(update={"models": ranked(table.models, _primary_of(table, ""))})
    pairs, pair_forest = _pairs(table)
    calibration = calibration_chart(table)
    return TableView(
        id="", title=table_title(table), table=table, columns=columns(table), facts=_label_facts(table),
        titles=titles(table), verdict=of_the_text(table), comparisons=pairs, comparison_forest=pair_forest,
        charts=[calibration] if calibration else [],
    )  # fmt: skip


def _label_facts(table: LabelTable) -> Facts:
    facts = [
        ("Rows", count(table.n_rows)),
        ("Users", "" if table.n_users is None else count(table.n_users)),
        ("Positives", "" if table.positive_share is None else percent(table.positive_share)),
        ("Threshold", "" if table.threshold is None else number(table.threshold)),
    ]
    return [(name, value) for name, value in facts if value]


def ranked(models: Sequence[ModelResult], metric: str | None) -> list[ModelResult]:
    """Ours first, then by kind; within a kind the best first."""
    sign = 1 if metric and lower_is_better(metric) else -1
    worst = float("inf")

    def key(model: ModelResult) -> tuple[int, float]:
        estimate = model.metrics.get(metric or "")
        return _KIND_ORDER[model.kind], sign * estimate.value if estimate else worst

    return sorted(models, key=key)


def titles(table: ResultTable) -> dict[str, str]:
    return {m.name: m.title for m in table.models}


def _primary_of(table: ResultTable, primary: str) -> str | None:
    """The run's primary metric, else the first that the table has."""
    return next((c.metric for c in columns(table, primary)), None)


def _pairs(table: ResultTable) -> tuple[list[tuple[str, Comparison]], Forest | None]:
    shown = titles(table)
    pairs = [(f"{shown[c.model]} against {shown[c.against]}", c) for c in table.comparisons]
    drawn = [(label, c) for label, c in pairs if table.comparisons[0].metric == c.metric]
    if len(drawn) < 2:
        return pairs, None
    metric, models = metric_title(drawn[0][1].metric), {c.model for _, c in drawn}
    if len(models) > 1:
        return pairs, plots.comparison_forest(f"Paired differences in {metric}", drawn)
    drawn = [(f"against {shown[c.against]}", c) for _, c in drawn]
    return pairs, plots.comparison_forest(f"{metric} of {shown[models.pop()]}, paired differences", drawn)


def _protocol_facts(protocol: Protocol) -> Facts:
    facts = [("Queries", count(protocol.n_queries))]
    if protocol.n_users is not None:
        facts.append(("Users", count(protocol.n_users)))
    if protocol.n_items is not None:
        facts.append(("Items to choose from", count(protocol.n_items)))
    if protocol.n_missed is not None:
        facts.append(("Targets outside the candidates", missed(protocol)))
    facts += [(name, date(t)) for name, t in (("T1", protocol.t1), ("T2", protocol.t2)) if t is not None]
    return facts


def _protocol_words(protocol: Protocol) -> Facts:
    words = (("History", protocol.history), ("Fitted", protocol.refit), ("Candidates", protocol.candidates))
    return [(name, text) for name, text in words if text]


def recall_chart(protocol: Protocol) -> Chart | None:
    """Ours and the baselines that find most, as many lines as there are colours."""
    models = [m for m in protocol.models if m.recall_over_k]
    found = sorted(models, key=lambda m: (m.kind != "ours", -m.recall_over_k[-1].y))[: plots.N_COLOURS]
    lines = [Line(m.title, m.recall_over_k, m.kind) for m in found]
    left_out = f" (the {len(found)} of {len(models)} that find most)" if len(models) > len(found) else ""
    return plots.chart(
        f"Recall as the list grows{left_out}", "k, log scale", "Recall@k", lines, log_x=True, from_zero=True
    )


def coverage_chart(protocol: Protocol, metric: str | None) -> Chart | None:
    """Accuracy against the share of the catalogue that anybody is shown."""
    coverage = next((c.metric for c in columns(protocol) if c.metric.startswith("coverage")), None)
    if metric is None or coverage is None:
        return None
    lines = [
        Line(
            m.title, [Point(x=m.metrics[coverage].value, y=m.metrics[metric].value)], m.kind,
            [f"{m.title}: {percent(m.metrics[coverage].value)} of items, {number(m.metrics[metric].value)}"],
        )
        for m in protocol.models if {coverage, metric} <= set(m.metrics)
    ]  # fmt: skip
    title = f"{metric_title(metric)} against coverage of the catalogue"
    return plots.chart(title, metric_title(coverage), metric_title(metric), lines, numbered=True)


def calibration_chart(table: LabelTable) -> Chart | None:
    """Predicted against observed shares; the diagonal is perfect."""
    lines = [
        Line(
            m.title, [Point(x=b.predicted, y=b.observed, low=b.low, high=b.high) for b in m.calibration],
            m.kind, [f"{m.title}: {percent(b.predicted)} predicted, {percent(b.observed)} observed "
                               f"in {count(b.n)} rows" for b in m.calibration],
        )
        for m in table.models
    ]  # fmt: skip
    return plots.chart("Calibration: does 30 % mean 30 %?", "Predicted", "Observed", lines, square=True)


def slice_groups(table: ResultTable, metric: str) -> list[SliceGroup]:
    groups = dict.fromkeys(s.by for s in table.slices)
    return [_slice_group(table, by, metric) for by in groups]


def _slice_group(table: ResultTable, by: str, metric: str) -> SliceGroup:
    slices = [s for s in table.slices if s.by == by]
    models = [m.name for m in table.models if any(metric in s.models.get(m.name, {}) for s in slices)]
    marks = [(s.level, c) for s in slices for c in s.comparisons if c.metric == metric]
    kinds = {(c.model, c.against) for _, c in marks}
    drawn = None
    if len(kinds) == 1 and len(marks) > 1:
        model, against = next(iter(kinds))
        shown = titles(table)
        caption = f"{metric_title(metric)} by {by}: {shown.get(model, model)} against {shown.get(against, against)}"
        drawn = plots.comparison_forest(caption, marks)
    return SliceGroup(by, metric, list(slices), models, drawn)


def with_ids(views: Sequence[TableView]) -> list[TableView]:
    """Anchors that are safe and distinct whatever the tables are called."""
    return [replace(v, id=f"table-{i}") for i, v in enumerate(views)]
