"""What the report shows of an encoder that was tuned: what it was worth by itself, on how many pairs, and its curve."""

from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tuned import Questions, TunedEncoder, TuningStudy
from llmrec.evaluation.report.figures.chart import Chart, ChartLine, chart
from llmrec.evaluation.report.figures.forest import TONES, Forest, Mark, forest
from llmrec.evaluation.report.format import count

_SETS: dict[Questions, str] = {"every": "all likes of the test", "new": "likes of new items, among such"}


@dataclass(frozen=True)
class TunedRow:
    """An encoder in the table: NDCG@10 of each set of questions, None where it was not asked."""

    title: str
    pairs: str
    steps: str
    figures: list[Estimate | None]


@dataclass(frozen=True)
class TunedView:
    """The section, ready to be drawn."""

    learned: str
    sets: list[str]
    rows: list[TunedRow]
    plots: list[Forest]
    charts: list[Chart]
    whole: Comparison | None  # the whole system on the tuned encoder against it on the frozen one


def tuned_view(results: Results) -> TunedView | None:
    """None where nothing was tuned."""
    study = results.tuning
    if study is None:
        return None
    kinds = [kind for kind in _SETS if study.n_queries.get(kind)]
    sets = [f"{_SETS[kind]} ({count(study.n_queries[kind])})" for kind in kinds]
    plots = [_gains(study, kind) for kind in kinds]
    whole = next((c.comparison for c in results.controls if c.name == "frozen_encoder"), None)
    return TunedView(
        study.learned, sets, [_row(e, kinds) for e in study.encoders], [p for p in plots if p],
        [c for c in (_by_pairs(study), *_curves(study)) if c], whole,
    )  # fmt: skip


def _row(encoder: TunedEncoder, kinds: list[Questions]) -> TunedRow:
    pairs = "" if encoder.pairs is None else count(encoder.pairs)
    steps = "" if encoder.pairs is None else count(encoder.steps)
    return TunedRow(_title(encoder), pairs, steps, [encoder.ndcg.get(kind) for kind in kinds])


def _title(encoder: TunedEncoder) -> str:
    if encoder.pairs is None:
        return "As it came"
    if encoder.name == "refitted":
        return "Tuned anew before T2"
    return "Tuned" if encoder.name == "tuned" else f"Tuned on {count(encoder.pairs)} pairs"


def _gains(study: TuningStudy, kind: Questions) -> Forest | None:
    titles = {e.name: _title(e) for e in study.encoders}
    marks = [Mark(titles[c.model], TONES[c.verdict], c.difference) for c in study.comparisons.get(kind, [])]
    return forest(f"NDCG@10 by text alone, less the encoder's as it came: {_SETS[kind]}", marks, around_zero=True)


def _by_pairs(study: TuningStudy) -> Chart | None:
    """How much is learned from how few; None where it was tuned on one number of pairs."""
    tuned = [e for e in study.encoders if e.pairs and e.name != "refitted"]
    if len(tuned) < 2:
        return None
    lines = []
    for kind, title in _SETS.items():
        found = [(e.pairs, e.ndcg[kind]) for e in tuned if e.pairs and kind in e.ndcg]
        points = [Point(x=float(n), y=f.value, low=f.low, high=f.high) for n, f in found]
        lines.append(ChartLine(title, points, "ours" if kind == "every" else "baseline"))
    return chart("NDCG@10 by text alone against pairs learned from", "Pairs, log scale", "NDCG@10", lines, log_x=True)


def _curves(study: TuningStudy) -> list[Chart | None]:
    loss, by_text = ChartLine("loss", study.losses), ChartLine("validation", study.validation, "ours")
    return [
        chart("Loss of the encoder", "Step", "Loss", [loss]),
        chart("NDCG@10 by text alone on validation, which chose the step", "Step", "NDCG@10", [by_text]),
    ]
