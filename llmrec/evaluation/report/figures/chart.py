"""Lines or numbered dots over two axes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.report.figures.axes import AxisScale, Tick, extent, ticks
from llmrec.evaluation.report.format import number, short

N_COLOURS = 8  # --c1 … --c8 in report.css


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
class ChartLine:
    """A series before it is placed."""

    label: str
    points: Sequence[Point]
    tone: str = "baseline"
    hover: Sequence[str] = ()


def chart(
    caption: str, x_title: str, y_title: str, lines: Sequence[ChartLine], *,
    log_x: bool = False, square: bool = False, from_zero: bool = False, numbered: bool = False,
) -> Chart | None:  # fmt: skip
    """Place the lines; None where no line has a point. `square` gives both axes one scale from 0 and the diagonal."""
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    x_scale, y_scale = _scales(lines, log_x, square, from_zero, numbered)
    x_places = sorted({p.x for line in lines for p in line.points}) if log_x else ticks(x_scale.low, x_scale.high)
    return Chart(
        caption, x_title, y_title,
        x_ticks=_spread([Tick(x_scale(t), short(t)) for t in x_places]),
        y_ticks=[Tick(100 - y_scale(t), short(t)) for t in ticks(y_scale.low, y_scale.high)],
        series=[_series(i, line, x_scale, y_scale) for i, line in enumerate(lines)],
        diagonal=(0.0, 100.0, 100.0, 0.0) if square else None,
        numbered=numbered,
    )  # fmt: skip


def _scales(
    lines: Sequence[ChartLine], log_x: bool, square: bool, from_zero: bool, numbered: bool
) -> tuple[AxisScale, AxisScale]:
    points = [p for line in lines for p in line.points]
    ends = [v for p in points for v in (p.y, p.low, p.high) if v is not None]
    if square:
        top = min(1.0, 1.05 * max(*ends, *(p.x for p in points))) or 1.0
        return AxisScale(0.0, top), AxisScale(0.0, top)
    y_low, y_high = extent(ends, include=[0.0] if from_zero else [])
    x_low, x_high = extent((p.x for p in points), margin=0.06 if numbered else 0.0)
    if log_x:  # a margin below the first cutoff could reach zero, which has no logarithm
        x_low, x_high = min(p.x for p in points), max(p.x for p in points)
        x_high = x_high if x_high > x_low else 2 * x_low
    return AxisScale(x_low, x_high, log_x), AxisScale(0.0 if from_zero and min(ends) >= 0 else y_low, y_high)


def _spread(marks: list[Tick], apart: float = 7.0) -> list[Tick]:
    """Leave out labels that would touch the next; the last one stays."""
    kept: list[Tick] = []
    for mark in reversed(marks):
        if not kept or kept[-1].at - mark.at >= apart:
            kept.append(mark)
    return kept[::-1]


def _series(index: int, line: ChartLine, x_scale: AxisScale, y_scale: AxisScale) -> Series:
    hovers = line.hover or [f"{line.label}: {short(p.x)} → {number(p.y)}" for p in line.points]
    dots = [
        Dot(x_scale(p.x), round(100 - y_scale(p.y), 3), hover)
        for p, hover in zip(line.points, hovers, strict=True)
    ]  # fmt: skip
    upper = [(x_scale(p.x), 100 - y_scale(p.high)) for p in line.points if p.high is not None]
    lower = [(x_scale(p.x), 100 - y_scale(p.low)) for p in line.points if p.low is not None]
    band = " ".join(f"{x:.3f},{y:.3f}" for x, y in [*upper, *reversed(lower)])
    return Series(index + 1, line.label, line.tone, index % N_COLOURS + 1, index // N_COLOURS, dots, band)
