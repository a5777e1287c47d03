"""Intervals by resampling users, paired comparisons, and a correction for how many are made.

A user's queries are not independent, so users are drawn with replacement (cluster bootstrap: Field & Welsh, 2007) and
carry all their rows. Every model is measured on the same draws, which makes comparisons paired. Several comparisons
share one critical value: the quantile of the largest studentised deviation among them (max-T: Westfall & Young, 1993,
section 2.2), so the chance of a single false "better" or "worse" in the whole family is the stated error rate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from llmrec.evaluation.labels.metrics import Weighted
from llmrec.evaluation.report.schema import Comparison, Estimate, Verdict, lower_is_better
from llmrec.features.asof.interactions import Floats, Ints

#: Weights (resamples × users or rows) held at once.
_CELLS = 4_000_000
_POWER = 0.8
#: Standard errors below this share of the figures (of 1, where they are smaller) are rounding, not spread.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Sampled:
    """A figure, its values in the resamples (R,), and the users behind it."""

    value: float
    draws: Floats
    n: int

    def estimate(self, confidence: float) -> Estimate:
        """With a percentile interval; without one where there are no resamples or a single user."""
        draws = self.draws[np.isfinite(self.draws)]
        if len(draws) < 2 or self.n < 2:
            return Estimate(value=self.value, n=self.n)
        low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        return Estimate(value=self.value, low=float(low), high=float(high), n=self.n, se=float(draws.std(ddof=1)))


class Bootstrap:
    """Draws of users, the same for every model measured on the rows.

    `user` (n_rows,): whose row it is, any integers. With `resamples` = 0 there are estimates, but no intervals.
    """

    def __init__(self, user: Ints, resamples: int, seed: int) -> None:
        users, self._of_row = np.unique(user, return_inverse=True)
        self.n_users, self.resamples, self._seed = len(users), resamples, seed

    def _weights(self, width: int) -> Iterator[Floats]:
        """(R', n_users) blocks: how often each user was drawn."""
        rng = np.random.default_rng(self._seed)
        step = max(1, _CELLS // max(width, 1))
        for start in range(0, self.resamples, step):
            size = min(step, self.resamples - start)
            drawn = rng.integers(self.n_users, size=(size, self.n_users))
            drawn += np.arange(size)[:, None] * self.n_users
            counts = np.bincount(drawn.ravel(), minlength=size * self.n_users)
            yield counts.reshape(size, self.n_users).astype(np.float64)

    def means(self, columns: Sequence[Floats]) -> list[Sampled]:
        """The mean of each column (n_rows,) of values; NaN rows do not count."""
        values = [np.asarray(c, np.float64) for c in columns]
        total = np.stack([np.bincount(self._of_row, np.nan_to_num(v), self.n_users) for v in values], axis=1)
        count = np.stack([np.bincount(self._of_row, np.isfinite(v), self.n_users) for v in values], axis=1)
        if not len(total):
            return [Sampled(float("nan"), np.empty(0), 0) for _ in values]
        drawn = [_ratio(w @ total, w @ count) for w in self._weights(self.n_users)]
        draws = np.concatenate(drawn) if drawn else np.empty((0, len(values)))
        point = _ratio(total.sum(axis=0), count.sum(axis=0))
        users = (count > 0).sum(axis=0)
        return [Sampled(float(point[j]), draws[:, j], int(users[j])) for j in range(len(values))]

    def statistics(self, metric: Weighted) -> dict[str, Sampled]:
        """Any function of row weights, recomputed on each resample."""
        point = metric(np.ones((1, len(self._of_row))))
        blocks = [metric(w[:, self._of_row]) for w in self._weights(len(self._of_row))]
        empty: Floats = np.empty(0)
        return {
            name: Sampled(float(value[0]), np.concatenate([b[name] for b in blocks]) if blocks else empty, self.n_users)
            for name, value in point.items()
        }


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan))


@dataclass(frozen=True)
class Pair:
    """Two models to compare on one metric (of a slice, perhaps)."""

    model: str
    against: str
    metric: str
    a: Sampled
    b: Sampled


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


def mean_over_seeds(values: Sequence[npt.NDArray[np.floating]]) -> Floats:
    """(n_rows,) values of one model averaged over its seeds: seeds are no further users."""
    return np.asarray(np.mean(np.stack(values), axis=0))
