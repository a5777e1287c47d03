"""What the report shows beside its tables: the headline, feature families, controls, leaks, training, corpus, run."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Estimate, lower_is_better
from llmrec.evaluation.records.families import FamilyEffect, FamilyStudy
from llmrec.evaluation.records.results import LeakGap, Results, TrainingCurve
from llmrec.evaluation.report import plots
from llmrec.evaluation.report.format import (
    GLOSSARY,
    count,
    date,
    duration,
    metric_title,
    number,
    p_value,
    percent,
    two_digits,
)
from llmrec.evaluation.report.plots import Chart, Forest, Line, Mark
from llmrec.evaluation.report.views import Facts, table_title, titles


@dataclass(frozen=True)
class FamilyView:
    model: str
    metric: str
    table: str
    description: str
    plots: list[Forest]
    curve: Chart | None
    kept: Facts
    kept_caption: str


def family_view(study: FamilyStudy, results: Results) -> FamilyView:
    """A study's forests: left out, alone, together; what a budget of dimensions keeps, and at which quality."""
    table = results.table(study.table)
    shown = titles(table) if table else {}
    metric = metric_title(study.metric)
    lower = lower_is_better(study.metric)
    left_out = [
        Mark(_family_label(f), _tone(f.contribution, lower), f.contribution) for f in study.families if f.contribution
    ]
    alone = [Mark(_family_label(f), "ablation", f.alone) for f in study.families if f.alone]
    for marks in (left_out, alone):
        marks.sort(key=lambda m: m.estimate.value, reverse=not lower)
    if alone and study.full:
        alone.insert(0, Mark("all families", "ours", study.full))
    together = [Mark(f"{i.first} and {i.second}", _tone(i.effect, lower), i.effect) for i in study.interactions]
    drawn = [
        plots.forest(f"{metric} with everything, less {metric} without this family", left_out, around_zero=True),
        plots.forest(f"{metric} with this family alone", alone),
        plots.forest(f"{metric} that two families add together beyond what each adds alone", together,
                     around_zero=True),
    ]  # fmt: skip
    curve = plots.chart(
        f"{metric} against dimensions kept", "Dimensions kept, log scale", metric,
        [Line(f"ranked by {_words(c.method)}", c.points) for c in study.curves], log_x=True,
    )  # fmt: skip
    n_kept = sum(map(len, study.kept.values()))
    caption = f"{n_kept} columns kept within a budget of {study.budget}, ranked by {_words(study.kept_by)}"
    kept = [(family, f"{len(columns)}: {', '.join(columns)}") for family, columns in study.kept.items()]
    return FamilyView(shown.get(study.model, study.model), metric, table_title(table), study.description,
                      [f for f in drawn if f], curve, kept, caption)  # fmt: skip


def _words(code: str) -> str:
    return code.replace("_", " ")


def _family_label(effect: FamilyEffect) -> str:
    return f"{effect.family} (all {len(effect.members)})" if effect.members else effect.family


def _tone(effect: Estimate, lower: bool) -> str:
    if effect.low is None or effect.high is None or effect.low <= 0 <= effect.high:
        return "unknown"
    return "better" if (effect.low > 0) != lower else "worse"


@dataclass(frozen=True)
class LeakView:
    model: str
    table: str
    gap: LeakGap


def leak_views(results: Results) -> list[LeakView]:
    """Each gap with the names that readers know."""
    found = []
    for gap in results.leak_gaps:
        table = results.table(gap.table)
        shown = titles(table) if table else {}
        found.append(LeakView(shown.get(gap.model, gap.model), table_title(table), gap))
    return found


@dataclass(frozen=True)
class ControlView:
    forests: list[Forest]
    titles: dict[str, str]


def control_view(results: Results) -> ControlView | None:
    """The real text against each control, a forest for each metric and table."""
    if not results.controls:
        return None
    names = {m.name: m.title for t in results.tables() for m in t.models}
    shown = {c.name: names.get(c.name, c.name.replace("_", " ")) for c in results.controls}
    groups = dict.fromkeys((c.table, c.comparison.metric) for c in results.controls)
    caption = "{} of the real text against each control ({})"
    forests = [
        plots.comparison_forest(
            caption.format(metric_title(metric), table_title(results.table(table))),
            [
                (shown[c.name], c.comparison)
                for c in results.controls
                if (c.table, c.comparison.metric) == (table, metric)
            ],
        )
        for table, metric in groups
    ]  # fmt: skip
    return ControlView([f for f in forests if f], shown)


def curve_charts(results: Results) -> list[Chart]:
    """One chart for each (model, metric), variants, train and validation together."""
    groups = dict.fromkeys((c.model, c.metric) for c in results.training_curves)
    drawn = []
    for model, metric in groups:
        lines = [
            Line(_curve_label(c), c.points, "ours" if c.split == "validation" else "baseline")
            for c in results.training_curves if (c.model, c.metric) == (model, metric)
        ]  # fmt: skip
        drawn.append(
            plots.chart(
                f"{metric_title(metric)} of the {model.replace('_', ' ')}", "Epoch", metric_title(metric), lines
            )
        )
    return [c for c in drawn if c]


def _curve_label(curve: TrainingCurve) -> str:
    return ", ".join(part for part in (curve.variant.replace("_", " "), curve.split) if part)


def headline_forest(results: Results) -> Forest | None:
    """The headline as one dot: in percent of the model without text, with the undetectable region shaded."""
    head = results.headline
    if head is None:
        return None
    compared = head.comparison
    detectable = compared.smallest_detectable
    if compared.ratio and detectable is not None:
        table = results.table(head.protocol)
        against = table.model(compared.against) if table else None
        base = against.metrics[compared.metric].value if against and compared.metric in against.metrics else 0.0
        detectable = detectable / base if base > 0 else None
    tone = plots.VERDICT_TONES[compared.verdict]
    mark = Mark("With text against without", tone, compared.ratio or compared.difference)
    unit = "relative" if compared.ratio else "absolute"
    caption = f"{metric_title(compared.metric)}, with text against without: {unit} difference"
    return plots.forest(caption, [mark], as_percent=bool(compared.ratio), around_zero=True, detectable=detectable)


def headline_facts(results: Results) -> Facts:
    head = results.headline
    if head is None:
        return []
    compared, facts = head.comparison, []
    table = results.table(head.protocol)
    for title, name in (("With text", compared.model), ("Without text", compared.against)):
        model = table.model(name) if table else None
        if model and compared.metric in model.metrics:
            facts.append(
                (f"{metric_title(compared.metric)}, {title.lower()}", number(model.metrics[compared.metric].value))
            )
    if compared.p_adjusted is not None:
        facts.append(("Adjusted p", p_value(compared.p_adjusted)))
    if compared.smallest_detectable is not None:
        facts.append(("Smallest detectable", number(compared.smallest_detectable)))
    if head.encoder_seconds_per_1000 is not None:
        facts.append(("Encoder, per 1,000 reviews", f"{two_digits(head.encoder_seconds_per_1000)} s"))
    return facts  # fmt: skip


def corpus_facts(results: Results) -> Facts:
    """The portrait, as far as it was taken."""
    p = results.portrait
    facts = [("Reviews", count(p.n_reviews)), ("Users", count(p.n_users)), ("Items", count(p.n_items))]
    if p.first is not None and p.last is not None:
        facts += [("First review", date(p.first)), ("Last review", date(p.last))]
    counts = (
        ("Reviews a user, median", p.median_per_user), ("Reviews an item, median", p.median_per_item),
        ("Tokens a review, median", p.median_tokens), ("Empty texts", p.empty_texts), ("Duplicates", p.duplicates),
        ("Users whose last events tie", p.tied_users),
        ("Rows quarantined", None if p.quarantined is None else sum(p.quarantined.values())),
    )  # fmt: skip
    shares = (
        ("Sparsity", p.sparsity), ("Events that tie in time", p.tied_share),
        ("Tokens unknown to the encoder", p.unknown_token_share),
    )  # fmt: skip
    facts += [(name, count(value)) for name, value in counts if value is not None]
    facts += [(name, percent(value)) for name, value in shares if value is not None]
    return facts + ([("Encoder", p.encoder)] if p.encoder else [])


@dataclass(frozen=True)
class Bar:
    label: str
    width: float
    value: str


@dataclass(frozen=True)
class Bars:
    caption: str
    entries: list[Bar]


def corpus_bars(results: Results) -> list[Bars]:
    p = results.portrait
    languages = sorted(p.languages.items(), key=lambda kv: -kv[1])[:8]
    groups = [
        ("Languages of the reviews", [(k, v, percent(v)) for k, v in languages]),
        ("Stars", [(k, float(v), count(v)) for k, v in sorted(p.stars.items(), key=lambda kv: float(kv[0]))]),
        ("Quarantined rows, by reason", [(k, float(v), count(v)) for k, v in sorted((p.quarantined or {}).items())]),
    ]
    return [Bars(caption, bars(entries)) for caption, entries in groups if entries]


def stage_bars(results: Results) -> Bars | None:
    """Where the time went."""
    entries = [(stage, seconds, duration(seconds)) for stage, seconds in results.run.stage_seconds.items()]
    return Bars("Time by stage", bars(entries)) if entries else None


def bars(entries: Sequence[tuple[str, float, str]]) -> list[Bar]:
    """(label, size, text) drawn to the largest; codes read as words."""
    most = max(value for _, value, _ in entries) or 1.0
    return [Bar(label.replace("_", " "), round(100 * value / most, 2), text) for label, value, text in entries]


def run_facts(results: Results) -> Facts:
    run = results.run
    facts = [
        ("Machine", run.machine), ("Size", run.size), ("Seeds", ", ".join(map(str, run.seeds))), ("Commit", run.commit),
        ("Code version", run.code_version), ("Corpus", run.corpus_id), ("Bundle", run.bundle_id),
        ("Took", duration(run.seconds) if run.seconds is not None else ""),
    ]  # fmt: skip
    return [(name, value) for name, value in facts if value]


def glossary(results: Results) -> list[tuple[str, str]]:
    """The metrics that this run shows, each with its denominator."""
    used = dict.fromkeys(metric.split("@")[0] for t in results.tables() for m in t.models for metric in m.metrics)
    return [(metric_title(name), GLOSSARY[name]) for name in used if name in GLOSSARY]
