"""What the report shows of feature families: left out, alone, in pairs, and within a budget of dimensions."""

from collections.abc import Iterable
from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Estimate, goodness, lower_is_better
from llmrec.evaluation.records.families import FamilyEffect, FamilyStudy
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.facts import Facts
from llmrec.evaluation.report.figures.chart import Chart, ChartLine, chart
from llmrec.evaluation.report.figures.forest import Forest, Mark, forest
from llmrec.evaluation.report.glossary import metric_title, table_title


@dataclass(frozen=True)
class FamilyView:
    """One study, ready to be drawn."""

    model: str
    metric: str
    table: str
    description: str
    plots: list[Forest]
    curve: Chart | None
    kept: Facts
    kept_caption: str


def family_view(study: FamilyStudy, results: Results) -> FamilyView:
    """A study's forests; what a budget of dimensions keeps, and at which quality."""
    table = results.table(study.table)
    assert table is not None
    kept = [(family, f"{len(columns)}: {', '.join(columns)}") for family, columns in study.kept.items()]
    n_kept = sum(map(len, study.kept.values()))
    caption = f"{n_kept} columns kept within a budget of {study.budget}, ranked by {_words(study.kept_by)}"
    metric = metric_title(study.metric)
    return FamilyView(table.title(study.model), metric, table_title(table), study.description,
                      _forests(study, metric), _selection_chart(study, metric), kept, caption)  # fmt: skip


def _forests(study: FamilyStudy, metric: str) -> list[Forest]:
    """Left out, alone, and together, as far as they were measured."""
    alone = _best_first(study, ((f, "ablation", f.alone) for f in study.families))
    if alone and study.full:
        alone.insert(0, Mark("all families", "ours", study.full))
    left_out = _best_first(study, ((f, _tone(study, f.contribution), f.contribution) for f in study.families))
    together = [Mark(f"{i.first} and {i.second}", _tone(study, i.effect), i.effect) for i in study.interactions]
    drawn = (
        forest(f"{metric} with everything, less {metric} without this family", left_out, around_zero=True),
        forest(f"{metric} with this family alone", alone),
        forest(f"{metric} that two families add together beyond what each adds alone", together, around_zero=True),
    )
    return [f for f in drawn if f]


def _best_first(study: FamilyStudy, measured: Iterable[tuple[FamilyEffect, str, Estimate | None]]) -> list[Mark]:
    marks = [
        Mark(f"{f.family} (all {len(f.members)})" if f.members else f.family, tone, estimate)
        for f, tone, estimate in measured
        if estimate
    ]
    return sorted(marks, key=lambda m: -goodness(study.metric, m.estimate.value))


def _tone(study: FamilyStudy, effect: Estimate | None) -> str:
    if effect is None or effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "unknown"
    return "better" if (effect.low > 0) != lower_is_better(study.metric) else "worse"


def _selection_chart(study: FamilyStudy, metric: str) -> Chart | None:
    lines = [ChartLine(f"ranked by {_words(c.method)}", c.points) for c in study.curves]
    caption = f"{metric} against dimensions kept"
    return chart(caption, "Dimensions kept, log scale", metric, lines, log_x=True)


def _words(code: str) -> str:
    return code.replace("_", " ")
