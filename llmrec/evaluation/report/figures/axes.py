"""Geometry of the report's figures: positions in percent of the plot box, which the templates draw as inline SVG.

Percentages keep a figure fluid from 360 px to a wide screen without scaling its text; colours are CSS variables,
so that one drawing serves light, dark and print.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    at: float  # percent
    label: str


@dataclass(frozen=True)
class AxisScale:
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
