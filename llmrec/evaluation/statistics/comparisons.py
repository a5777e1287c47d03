"""Paired comparisons of models, and a correction for how many are made.

Several comparisons share one critical value: the quantile of the largest studentised deviation among them (max-T:
Westfall & Young, 1993, section 2.2), so the chance of a single false "better" or "worse" in the whole family is the
stated error rate. Families stand behind a gate: see `gated`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from llmrec.evaluation.records.estimates import Comparison, Estimate, Verdict, lower_is_better
from llmrec.evaluation.statistics.bootstrap import Resampled, Tail, combined, covariances
from llmrec.features.asof.interactions import Floats

_POWER = 0.8
#: Standard errors of the resampling by which a decision must clear its line.
_ERRORS = 2.0


@dataclass(frozen=True)
class Pair:
    """Two models to compare on one metric (of a slice, perhaps)."""

    model: str
    against: str
    metric: str
    a: Resampled
    b: Resampled
    relative: bool = True  # whether a share of `b` says anything: not where `b` is a difference itself


@dataclass(frozen=True)
class TestFamily:
    """Comparisons that are judged together: normal critical value, its Monte Carlo error, the largest of each draw."""

    critical: float
    error: float
    largest: Floats
    size: int
    tests: int = 1  # families of the same gate: Bonferroni


def compare(
    pairs: Sequence[Pair], confidence: float, margin: float | None = None, tests: int = 1, closed: bool = False
) -> list[Comparison]:
    """Paired comparisons as one family: their simultaneous intervals miss no true difference with P = `confidence`.

    `margin`: the share of `against` within which a difference counts as none. `tests`: so many such families share the
    error rate. `closed`: the gate before the family did not open, so nothing in it is claimed. `p_value` is that of the
    single comparison, `p_adjusted` of all. A verdict that lies within two Monte Carlo errors of its line is not told.
    """
    pairs = [p for p in pairs if np.isfinite(p.a.value) and np.isfinite(p.b.value)]
    if not pairs:
        return []
    differences = [combined([p.a, p.b], [1, -1]) for p in pairs]
    covariance, tails = covariances(differences)
    family = _family(covariance, differences[0], 1 - (1 - confidence) / tests, tests)
    return [
        _comparison(p, d, float(np.sqrt(covariance[j, j])), tails[j], family, margin, closed)
        for j, (p, d) in enumerate(zip(pairs, differences, strict=True))
    ]


def gated(
    primary: Sequence[Pair], behind: Sequence[Pair], confidence: float, margin: float | None = None
) -> tuple[list[Comparison], list[Comparison]]:
    """The `primary` comparisons, fixed before the run, each at its share of the error rate; then those `behind` them.

    Bonferroni parallel gatekeeping (Dmitrienko, Offen & Westfall, Statistics in Medicine 2003): what lies behind is
    tested with the shares of the primary ones that were decided. Without one, its intervals stand, and nothing is
    claimed of them. A single pair needs no resampling, so no seed decides a primary verdict.
    """
    first = [c for p in primary for c in compare([p], confidence, margin, len(primary))]
    decided = sum(c.verdict in ("better", "worse") for c in first) / max(len(primary), 1)
    level = 1 - (1 - confidence) * (decided or 1)
    return first, compare(behind, level, margin, closed=bool(primary) and not decided)


def _family(covariance: Floats, first: Resampled, confidence: float, tests: int) -> TestFamily:
    size = len(covariance)
    if size == 1 or not first.has_interval:
        return TestFamily(float(-ndtri((1 - confidence) / 2)), 0.0, np.empty(0), size * tests, tests)
    se = np.sqrt(np.diag(covariance))
    correlation = covariance / np.where(se > 0, se, np.inf) / np.where(se > 0, se, np.inf)[:, None]
    np.fill_diagonal(correlation, 1.0)
    root = _root(np.clip(correlation, -1, 1))
    rng = np.random.default_rng(first.draws.seed)
    step = max(1, 4_000_000 // size)
    largest = np.concatenate([
        np.abs(rng.standard_normal((min(step, first.draws.resamples - start), size)) @ root.T).max(axis=1)
        for start in range(0, first.draws.resamples, step)
    ])  # fmt: skip
    at = confidence * len(largest)
    spread = np.sqrt(at * (1 - confidence))  # of the rank of a quantile: binomial
    low, high = np.quantile(largest, np.clip([(at - spread) / len(largest), (at + spread) / len(largest)], 0, 1))
    return TestFamily(float(np.quantile(largest, confidence)), float(high - low) / 2, largest, size * tests, tests)


def _root(correlation: Floats) -> Floats:
    """A with A Aᵀ = the nearest correlation: clusters both ways may leave negative eigenvalues."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(root / np.linalg.norm(root, axis=1, keepdims=True))


def _comparison(
    pair: Pair, found: Resampled, se: float, tail: Tail, family: TestFamily, margin: float | None, closed: bool
) -> Comparison:
    base = {"model": pair.model, "against": pair.against, "metric": pair.metric, "n_comparisons": family.size}
    if se == 0 or not found.has_interval:  # no spread: identical lists, a single user or item, or no resamples
        ratio = Estimate(value=found.value / pair.b.value) if pair.b.value else None
        return Comparison(**base, difference=Estimate(value=found.value, n=found.n), ratio=ratio, verdict="cannot tell")
    critical = tail.critical(family.critical)
    width, error = critical * se, family.error * se
    interval = Estimate(value=found.value, low=found.value - width, high=found.value + width, n=found.n, se=se)
    single = tail.p_value(abs(found.value) / se)
    ratio, close = None, None
    if pair.relative:
        ratio, close = _ratio(pair, found, se, critical), None if margin is None else margin * abs(pair.b.value)
    return Comparison(
        **base, difference=interval, ratio=ratio, p_value=single, p_adjusted=_adjusted(single, family), margin=close,
        smallest_detectable=(critical + float(ndtri(_POWER))) * se, monte_carlo=error, closed=closed,
        seed_se=float(found.seeds.std(ddof=1) / np.sqrt(len(found.seeds))) if len(found.seeds) > 1 else None,
        verdict="cannot tell" if closed else _verdict(interval, ratio, pair.metric, close, margin, _ERRORS * error),
    )  # fmt: skip


def _adjusted(single: float, family: TestFamily) -> float:
    if not len(family.largest):
        return min(1.0, single * family.tests)
    seen = -ndtri(single / 2)
    p = float((1 + (family.largest >= seen).sum()) / (1 + len(family.largest)))
    return max(single, min(1.0, p * family.tests))


def _ratio(pair: Pair, found: Resampled, se: float, critical: float) -> Estimate | None:
    """a / b − 1 by Fieller's theorem (1954): all ρ for which a − b − ρ b is not told from 0, so that the interval
    holds 0 just where that of the difference does. None where b is not clearly above zero: there is no such interval.
    """
    covariance, _ = covariances([found, pair.b])
    bb = critical**2 * covariance[1, 1]
    bound = critical**2 * se * np.sqrt(covariance[1, 1])
    db, dd = float(np.clip(critical**2 * covariance[0, 1], -bound, bound)), (critical * se) ** 2
    b, d = pair.b.value, found.value
    if b <= 0 or b**2 <= bb:
        return None
    middle, square = b * d - db, b**2 - bb
    root = np.sqrt(max(middle**2 - square * (d**2 - dd), 0.0))
    return Estimate(value=d / b, low=min((middle - root) / square, d / b), high=max((middle + root) / square, d / b),
                    n=found.n)  # fmt: skip


def _verdict(
    difference: Estimate, ratio: Estimate | None, metric: str, close: float | None, margin: float | None, error: float
) -> Verdict:
    """`error`: how far the draws may have put the interval's ends; what hangs on it is not told."""
    assert difference.low is not None and difference.high is not None
    low, high = difference.low - error, difference.high + error
    if not low <= 0 <= high:
        return "better" if (low > 0) != lower_is_better(metric) else "worse"
    if not difference.low <= 0 <= difference.high:
        return "cannot tell"
    within = close is not None and max(-low, high) < close
    if within and ratio is not None and margin is not None and ratio.low is not None and ratio.high is not None:
        within = max(-ratio.low, ratio.high) < margin
    return "no difference" if within else "cannot tell"
