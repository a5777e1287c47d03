"""Geometry of the report's figures: positions in percent of the plot box, which the templates draw as inline SVG.

Percentages keep a figure fluid from 360 px to a wide screen without scaling its text; colours are CSS variables,
so that one drawing serves light, dark and print.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point
from llmrec.evaluation.records.tables import ResultTable
from llmrec.evaluation.report.format import interval, metric_title, number, percent, round_percent

N_COLOURS = 8  # --c1 … --c8 in report.css


@dataclass(frozen=True)
class Tick:
    at: float  # percent
    label: str


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to [0, 100] percent; logarithmic where asked (values must then be positive)."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        move: Callable[[float], float] = math.log if self.log else float
        share = (move(value) - move(self.low)) / (move(self.high) - move(self.low))
        return round(100 * min(max(share, 0.0), 1.0), 3)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """At most `count` + 1 round values (1, 2, 2.5 or 5 times a power of ten) within [low, high]."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def extent(values: Iterable[float], margin: float = 0.06, include: Sequence[float] = ()) -> tuple[float, float]:
    """(low, high) around the values with a margin on both sides; never empty."""
    known = [*values, *include]
    low, high = min(known), max(known)
    pad = (high - low) * margin or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


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
    caption: str,
    marks: Sequence[Mark],
    *,
    as_percent: bool = False,
    around_zero: bool = False,
    detectable: float | None = None,
) -> Forest | None:
    """Place the marks on one axis; None where there is nothing to place."""
    if not marks:
        return None
    ends = [v for m in marks for v in (m.estimate.value, m.estimate.low, m.estimate.high) if v is not None]
    scale = Scale(*extent(ends, include=[0.0] if around_zero else []))
    rows = [_forest_row(m, scale, as_percent, around_zero) for m in marks]
    places = ticks(scale.low, scale.high)
    labels = [(round_percent if as_percent else _short)(t) for t in places]
    return Forest(
        caption,
        rows,
        [Tick(scale(t), label) for t, label in zip(places, labels, strict=True)],
        zero=scale(0.0) if around_zero else None,
        band=(scale(-detectable), scale(detectable)) if detectable and around_zero else None,
    )


def _forest_row(mark: Mark, scale: Scale, as_percent: bool, signed: bool) -> ForestRow:
    e = mark.estimate
    value = percent(e.value, signed) if as_percent else number(e.value, signed)
    low, high = (None if v is None else scale(v) for v in (e.low, e.high))
    return ForestRow(
        mark.label, mark.tone, scale(e.value), low, high, value, interval(e, as_percent, signed), mark.note
    )


def _short(value: float) -> str:
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


VERDICT_TONES = {"better": "better", "worse": "worse", "cannot tell": "unknown"}


def model_forest(table: ResultTable, metric: str) -> Forest | None:
    """Every model of the table on one metric, coloured by kind."""
    marks = [Mark(m.title, m.kind, m.metrics[metric]) for m in table.models if metric in m.metrics]
    return forest(f"{metric_title(metric)} of each model with its interval", marks) if len(marks) > 1 else None


def comparison_forest(caption: str, comparisons: Sequence[tuple[str, Comparison]]) -> Forest | None:
    """Paired differences around zero, coloured by verdict: as ratios where every comparison has one."""
    ratios = all(c.ratio is not None for _, c in comparisons)
    marks = [
        Mark(label, VERDICT_TONES[c.verdict], c.ratio if ratios and c.ratio else c.difference, c.verdict)
        for label, c in comparisons
    ]
    return forest(caption, marks, as_percent=ratios, around_zero=True)


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    hover: str


@dataclass(frozen=True)
class Series:
    """A line: `colour` 1 … N_COLOURS, `dash` changes once colours run out; ours are strong."""

    number: int
    label: str
    tone: str
    colour: int
    dash: int
    dots: list[Dot]
    band: str = ""  # SVG polygon points of the interval

    @property
    def strong(self) -> bool:
        return self.tone == "ours"

    @property
    def path(self) -> str:
        return " ".join(f"{d.x},{d.y}" for d in self.dots)


@dataclass(frozen=True)
class Chart:
    """Lines or numbered dots over two axes, positions in percent with y = 0 at the top."""

    caption: str
    x_title: str
    y_title: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    series: list[Series] = field(default_factory=list)
    diagonal: tuple[float, float, float, float] | None = None
    numbered: bool = False


@dataclass(frozen=True)
class Line:
    """A series before it is placed."""

    label: str
    points: Sequence[Point]
    tone: str = "baseline"
    hover: Sequence[str] = ()


def chart(
    caption: str,
    x_title: str,
    y_title: str,
    lines: Sequence[Line],
    *,
    log_x: bool = False,
    square: bool = False,
    from_zero: bool = False,
    numbered: bool = False,
) -> Chart | None:
    """Place the lines; None where no line has a point. `square` gives both axes one scale from 0 and the diagonal."""
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    x_scale, y_scale = _scales(lines, log_x, square, from_zero, numbered)
    x_places = sorted({p.x for line in lines for p in line.points}) if log_x else ticks(x_scale.low, x_scale.high)
    return Chart(
        caption, x_title, y_title,
        x_ticks=_spread([Tick(x_scale(t), _short(t)) for t in x_places]),
        y_ticks=[Tick(100 - y_scale(t), _short(t)) for t in ticks(y_scale.low, y_scale.high)],
        series=[_series(i, line, x_scale, y_scale) for i, line in enumerate(lines)],
        diagonal=(0.0, 100.0, 100.0, 0.0) if square else None,
        numbered=numbered,
    )  # fmt: skip


def _scales(lines: Sequence[Line], log_x: bool, square: bool, from_zero: bool, numbered: bool) -> tuple[Scale, Scale]:
    points = [p for line in lines for p in line.points]
    ends = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    if square:
        top = min(1.0, 1.05 * max(*ends, *(p.x for p in points))) or 1.0
        return Scale(0.0, top), Scale(0.0, top)
    y_low, y_high = extent(ends, include=[0.0] if from_zero else [])
    x_low, x_high = extent((p.x for p in points), margin=0.06 if numbered else 0.0)
    if log_x:  # a margin below the first cutoff could reach zero, which has no logarithm
        x_low, x_high = min(p.x for p in points), max(p.x for p in points)
        x_high = x_high if x_high > x_low else 2 * x_low
    return Scale(x_low, x_high, log_x), Scale(0.0 if from_zero and min(ends) >= 0 else y_low, y_high)


def _spread(marks: list[Tick], apart: float = 7.0) -> list[Tick]:
    """Leave out labels that would touch the next; the last one stays."""
    kept: list[Tick] = []
    for mark in reversed(marks):
        if not kept or kept[-1].at - mark.at >= apart:
            kept.append(mark)
    return kept[::-1]


def _series(index: int, line: Line, x_scale: Scale, y_scale: Scale) -> Series:
    hovers = line.hover or [f"{line.label}: {_short(p.x)} → {number(p.y)}" for p in line.points]
    dots = [
        Dot(x_scale(p.x), round(100 - y_scale(p.y), 3), hover)
        for p, hover in zip(line.points, hovers, strict=True)
    ]  # fmt: skip
    upper = [(x_scale(p.x), 100 - y_scale(p.high)) for p in line.points if p.high is not None]
    lower = [(x_scale(p.x), 100 - y_scale(p.low)) for p in line.points if p.low is not None]
    band = " ".join(f"{x:.3f},{y:.3f}" for x, y in [*upper, *reversed(lower)])
    return Series(index + 1, line.label, line.tone, index % N_COLOURS + 1, index // N_COLOURS, dots, band)
