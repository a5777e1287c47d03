"""Paired comparisons of models, and a correction for how many are made.

Several comparisons share one critical value: the quantile of the largest studentised deviation among them (max-T:
Westfall & Young, 1993, section 2.2), so the chance of a single false "better" or "worse" in the whole family is the
stated error rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from llmrec.evaluation.records.estimates import Comparison, Estimate, Verdict, lower_is_better
from llmrec.evaluation.statistics.bootstrap import Resampled
from llmrec.features.asof.interactions import Floats

_POWER = 0.8
#: Standard errors below this share of the figures (of 1, where they are smaller) are rounding, not spread.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Pair:
    """Two models to compare on one metric (of a slice, perhaps)."""

    model: str
    against: str
    metric: str
    a: Resampled
    b: Resampled


def compare(pairs: Sequence[Pair], confidence: float) -> list[Comparison]:
    """Paired comparisons as one family: their simultaneous intervals miss no true difference with P = `confidence`.

    `p_value` is that of the single comparison, `p_adjusted` of the family.
    """
    pairs = [p for p in pairs if np.isfinite(p.a.value) and np.isfinite(p.b.value)]
    if not pairs:
        return []
    shift = np.stack([_deviation(p) for p in pairs], axis=1)  # (R, n_pairs)
    enough = len(shift) > 1
    se = shift.std(axis=0, ddof=1) if enough else np.zeros(len(pairs))
    se[se <= _ROUNDING * np.array([max(1, abs(p.a.value), abs(p.b.value)) for p in pairs])] = 0
    t = np.abs(shift) / np.where(se > 0, se, np.inf)
    largest = t.max(axis=1)
    critical = float(np.quantile(largest, confidence)) if enough else float("nan")
    return [_comparison(p, float(se[j]), critical, t[:, j], largest, len(pairs)) for j, p in enumerate(pairs)]


def _deviation(pair: Pair) -> Floats:
    """(R,) how far the difference in each resample lies from the observed one; 0 where it could not be computed."""
    return np.nan_to_num(pair.a.draws - pair.b.draws - (pair.a.value - pair.b.value))


def _comparison(pair: Pair, se: float, critical: float, t: Floats, largest: Floats, n_comparisons: int) -> Comparison:
    difference = pair.a.value - pair.b.value
    n = min(pair.a.n, pair.b.n)
    base = {"model": pair.model, "against": pair.against, "metric": pair.metric, "n_comparisons": n_comparisons}
    if se == 0 or n < 2:  # no spread: identical lists, a single user, or no resamples
        ratio = Estimate(value=difference / pair.b.value) if pair.b.value else None
        return Comparison(**base, difference=Estimate(value=difference, n=n), ratio=ratio, verdict="cannot tell")
    width = critical * se
    interval = Estimate(value=difference, low=difference - width, high=difference + width, n=n, se=se)
    seen = abs(difference) / se
    return Comparison(
        **base,
        difference=interval,
        ratio=_ratio_estimate(pair, critical),
        p_value=float((1 + (t >= seen).sum()) / (1 + len(t))),
        p_adjusted=float((1 + (largest >= seen).sum()) / (1 + len(largest))),
        smallest_detectable=(critical + float(norm.ppf(_POWER))) * se,
        verdict=_verdict(interval, pair.metric),
    )


def _ratio_estimate(pair: Pair, critical: float) -> Estimate | None:
    """a / b − 1 with the family's critical value; None where b is not clearly above zero."""
    if not pair.b.value > 0 or not (pair.b.draws > 0).all():
        return None
    value = pair.a.value / pair.b.value - 1
    se = float((pair.a.draws / pair.b.draws - 1).std(ddof=1))
    width = critical * se
    return Estimate(value=value, low=value - width, high=value + width, n=min(pair.a.n, pair.b.n), se=se)


def _verdict(difference: Estimate, metric: str) -> Verdict:
    assert difference.low is not None and difference.high is not None
    if difference.low <= 0 <= difference.high:
        return "cannot tell"
    return "better" if (difference.low > 0) != lower_is_better(metric) else "worse"
