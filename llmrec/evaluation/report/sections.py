"""What the report shows beside its tables: the headline, controls, leaks, training."""

from llmrec.evaluation.records.results import ControlResult, LeakGap, Results, TrainingCurve
from llmrec.evaluation.report.facts import Facts
from llmrec.evaluation.report.figures.chart import Chart, ChartLine, chart
from llmrec.evaluation.report.figures.forest import TONES, Forest, Mark, comparison_forest, forest
from llmrec.evaluation.report.format import told_ratio
from llmrec.evaluation.report.glossary import metric_title, table_title


def headline_forest(results: Results) -> Forest | None:
    """The headline as one dot: in percent of the model without text, with the undetectable region shaded."""
    head = results.headline
    if head is None:
        return None
    compared, table = head.comparison, results.table(head.protocol)
    assert table is not None
    detectable, ratio = compared.smallest_detectable, told_ratio(compared)
    if ratio and detectable is not None:
        base = table.value(compared.against, compared.metric)
        detectable = detectable / base if base and base > 0 else None
    mark = Mark("With text against without", TONES[compared.verdict], ratio or compared.difference)
    unit = "relative" if ratio else "absolute"
    caption = f"{metric_title(compared.metric)}, with text against without: {unit} difference"
    return forest(caption, [mark], as_percent=bool(ratio), around_zero=True, detectable=detectable)


def leak_rows(results: Results) -> list[tuple[str, str, LeakGap]]:
    """Every gap that was measured, with the names of model and table that readers know."""
    pairs = [(gap, results.table(gap.table)) for gap in results.leak_gaps]
    return [(table.title(gap.model), table_title(table), gap) for gap, table in pairs if table]


def control_view(results: Results) -> tuple[list[Forest], Facts]:
    """The real text against each control, a forest for each metric and table; each control's title and description."""
    names = {m.name: m.title for t in results.tables() for m in t.models}
    shown = {c.name: names.get(c.name, c.name.replace("_", " ")) for c in results.controls}
    groups: dict[tuple[str, str], list[ControlResult]] = {}
    for control in results.controls:
        groups.setdefault((control.table, control.comparison.metric), []).append(control)
    forests = []
    for (name, metric), controls in groups.items():
        table = results.table(name)
        assert table is not None
        caption = f"{metric_title(metric)} of the real text against each control ({table_title(table)})"
        forests.append(comparison_forest(caption, [(shown[c.name], c.comparison) for c in controls]))
    return [f for f in forests if f], [(shown[c.name], c.description) for c in results.controls]


def curve_charts(results: Results) -> list[Chart]:
    """One chart for each (model, metric), variants, train and validation together."""
    groups: dict[tuple[str, str], list[ChartLine]] = {}
    for c in results.training_curves:
        line = ChartLine(_curve_label(c), c.points, "ours" if c.split == "validation" else "baseline")
        groups.setdefault((c.model, c.metric), []).append(line)
    drawn = [
        chart(f"{metric_title(metric)} of the {model.replace('_', ' ')}", "Epoch", metric_title(metric), lines)
        for (model, metric), lines in groups.items()
    ]
    return [c for c in drawn if c]


def _curve_label(curve: TrainingCurve) -> str:
    return ", ".join(part for part in (curve.variant.replace("_", " "), curve.split) if part)
