"""Figures with intervals by resampling users.

A user's queries are not independent, so users are drawn with replacement (cluster bootstrap: Field & Welsh, 2007) and
carry all their rows. Every model is measured on the same draws, which makes comparisons paired.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.evaluation.records.estimates import Estimate
from llmrec.features.asof.interactions import Floats, Ints

#: (R, n) row weights -> metric -> (R,)
WeightedMetrics = Callable[[Floats], dict[str, Floats]]
#: Weights (resamples × users or rows) held at once.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Resampled:
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
        step = max(1, _BLOCK // max(width, 1))
        for start in range(0, self.resamples, step):
            size = min(step, self.resamples - start)
            drawn = rng.integers(self.n_users, size=(size, self.n_users))
            drawn += np.arange(size)[:, None] * self.n_users
            counts = np.bincount(drawn.ravel(), minlength=size * self.n_users)
            yield counts.reshape(size, self.n_users).astype(np.float64)

    def means(self, columns: Sequence[Floats]) -> list[Resampled]:
        """The mean of each column (n_rows,) of values; NaN rows do not count."""
        values = [np.asarray(c, np.float64) for c in columns]
        total = np.stack([np.bincount(self._of_row, np.nan_to_num(v), self.n_users) for v in values], axis=1)
        count = np.stack([np.bincount(self._of_row, np.isfinite(v), self.n_users) for v in values], axis=1)
        if not len(total):
            return [Resampled(float("nan"), np.empty(0), 0) for _ in values]
        drawn = [_ratio(w @ total, w @ count) for w in self._weights(self.n_users)]
        draws = np.concatenate(drawn) if drawn else np.empty((0, len(values)))
        point = _ratio(total.sum(axis=0), count.sum(axis=0))
        users = (count > 0).sum(axis=0)
        return [Resampled(float(point[j]), draws[:, j], int(users[j])) for j in range(len(values))]

    def statistics(self, metric: WeightedMetrics) -> dict[str, Resampled]:
        """Any function of row weights, recomputed on each resample."""
        point = metric(np.ones((1, len(self._of_row))))
        blocks = [metric(w[:, self._of_row]) for w in self._weights(len(self._of_row))]
        empty: Floats = np.empty(0)
        return {
            name: Resampled(
                float(value[0]), np.concatenate([b[name] for b in blocks]) if blocks else empty, self.n_users
            )
            for name, value in point.items()
        }


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan))


def mean_over_seeds(values: Sequence[npt.NDArray[np.floating]]) -> Floats:
    """(n_rows,) values of one model averaged over its seeds: seeds are no further users."""
    return np.asarray(np.mean(np.stack(values), axis=0))
