"""Figures as text: how the report, the model card and `jobs.compare` write them."""

from datetime import UTC, datetime

from llmrec.evaluation.records.estimates import Comparison, Estimate

MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"
#: So many times wider than the absolute interval, a relative one is no longer told.
_LOPSIDED = 1.5


def two_digits(value: float) -> str:
    """Two significant digits without an exponent: 0.042, 3.1, 110."""
    return f"{float(f'{value:.2g}'):.10g}"


def number(value: float, signed: bool = False) -> str:
    """Four decimals below 1, three below 100, then whole numbers; with a true minus sign."""
    decimals = 4 if abs(value) < 1 else 3 if abs(value) < 100 else 0
    return f"{value:{'+' if signed else ''}z,.{decimals}f}".replace("-", MINUS)


def percent(share: float, signed: bool = False) -> str:
    """0.132 -> `13.2 %`; two decimals below 1 %, none from 1,000 %. The space does not break."""
    size = abs(share)
    decimals = 0 if size >= 10 or size == 0 else 2 if size < 0.01 else 1
    return f"{100 * share:{'+' if signed else ''}z,.{decimals}f}{NBSP}%".replace("-", MINUS)


def round_percent(share: float) -> str:
    """0.95 -> `95 %`: for shares that are round, such as ticks and confidence levels."""
    return f"{100 * share:.6g}{NBSP}%".replace("-", MINUS)


def short(value: float) -> str:
    """At most six digits, as axes carry them."""
    return f"{value:.6g}".replace("-", MINUS)


def interval(estimate: Estimate, as_percent: bool = False, signed: bool = False) -> str:
    """`[0.047, 0.066]`, or nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    write = percent if as_percent else number
    return f"[{write(estimate.low, signed)},{NBSP}{write(estimate.high, signed)}]"


def count(value: float) -> str:
    """10261 -> `10,261`."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def date(milliseconds: int) -> str:
    """ms UTC -> `2014-03-01`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def p_value(p: float) -> str:
    """`0.012`, and `< 0.001` below that."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """75.2 -> `1 min 15 s`."""
    if seconds < 10:
        return f"{two_digits(seconds)} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0) + [f"{left} s"] * (left > 0 and not hours)
    return " ".join(parts)


def told_ratio(comparison: Comparison) -> Estimate | None:
    """The relative effect, where its interval is about as wide as the absolute one: a base that is not well known makes
    it wide on one side, and then it tells of the base and not of the text."""
    ratio, difference = comparison.ratio, comparison.difference
    if ratio is None or ratio.low is None or ratio.high is None:
        return ratio
    if difference.low is None or difference.high is None or not difference.value or not ratio.value:
        return ratio
    base = difference.value / ratio.value
    return ratio if ratio.high - ratio.low <= _LOPSIDED * (difference.high - difference.low) / base else None
