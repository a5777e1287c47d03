"""Figures with standard errors in two ways at once: by who asks and by what is asked for.

A user's queries are not independent, nor are the queries for one item: two blockbusters can be a quarter of a test. So
variances are clustered both ways (Cameron, Gelbach & Miller, JBES 2011, section 2.2): by user, plus by item, less by
both. The pigeonhole bootstrap (Owen, AoAS 2007, theorem 3) would count the noise of a single query three times, too
wide for users with one or two queries. Everything is kept as influences, how far each cluster moves the figure; the
Gaussian multiplier bootstrap of them (Chernozhukov, Chetverikov & Kato, AoS 2013) is a draw from a normal distribution
with these covariances, so that 100,000 resamples cost nothing, and a single interval needs none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from llmrec.evaluation.records.estimates import Estimate
from llmrec.features.asof.interactions import Floats, Ints

#: (R, n) row weights -> metric -> (R,)
WeightedMetrics = Callable[[Floats], dict[str, Floats]]
#: Weights (left-out groups × rows) held at once.
_BLOCK = 4_000_000
#: Groups of clusters that the jackknife leaves out in turn, at most.
_GROUPS = 200
#: Standard errors below this share of the figures (of 1, where they are smaller) are rounding, not spread.
_ROUNDING = 1e-12
#: Where a statistic lies, of those that are no means of rows.
_SHARES = {"auc", "gauc", "accuracy", "precision", "recall", "f1", "ece"}
_POSITIVE = {"log_loss", "rmse", "mae"}


@dataclass(frozen=True)
class Draws:
    """How often families of comparisons are resampled, and from which seed; 0: no intervals."""

    resamples: int = 0
    seed: int = 7


@dataclass(frozen=True)
class Tail:
    """How rare a deviation is whose variance stands on few clusters and, for a `share`, on few training seeds.

    Critical values are the mean of both Student's t, weighted by variance (Cochran & Cox, 1957, section 4.14):
    Satterthwaite's degrees of freedom were too many for three seeds, 6.7 % false verdicts where 5 % are stated.
    """

    clusters: float  # degrees of freedom
    seeds: float = 1.0
    share: float = 0.0

    def critical(self, z: float) -> float:
        """The value that is as rare as `z` of a normal one."""
        return self._isf(float(ndtr(-z)))

    def p_value(self, seen: float) -> float:
        """Of a deviation of so many standard errors, either way."""
        if not self.share:
            return float(2 * stdtr(self.clusters, -seen))
        if self._isf(1e-12) <= seen:
            return 2e-12
        return float(2 * brentq(lambda p: self._isf(p) - seen, 1e-12, 0.5, xtol=1e-13))

    def _isf(self, p: float) -> float:
        found = -stdtrit([self.clusters, self.seeds], p)
        return float(found[0] * (1 - self.share) + (found[1] * self.share if self.share else 0.0))


@dataclass(frozen=True)
class Resampled:
    """A figure, the users behind it, and its influences: `parts` by user, or by user, by item and by row.

    `clusters`: the fewer of users and items; `seeds` (S,): the figure by training seed.
    """

    value: float
    n: int
    clusters: int
    parts: tuple[Floats, ...] = ()
    seeds: Floats = field(default_factory=lambda: np.empty(0))
    draws: Draws = Draws()
    bounds: tuple[float, float] = (-np.inf, np.inf)  # a mean lies within its values

    @property
    def has_interval(self) -> bool:
        return self.draws.resamples > 1 and self.clusters > 1

    def estimate(self, confidence: float) -> Estimate:
        """With an interval by Student's t; without one where there are no resamples or a single user or item."""
        if not self.has_interval:
            return Estimate(value=self.value, n=self.n)
        covariance, tails = covariances([self])
        se = float(np.sqrt(covariance[0, 0]))
        half = tails[0].critical(float(-ndtri((1 - confidence) / 2))) * se
        low, high = np.clip([self.value - half, self.value + half], *self.bounds)
        return Estimate(value=self.value, low=min(low, self.value), high=max(high, self.value), n=self.n, se=se)


def combined(figures: Sequence[Resampled], weights: Sequence[float]) -> Resampled:
    """Σ weight · figure, of figures measured on the same rows."""

    def total(values: Sequence[Floats]) -> Floats:
        return np.asarray(sum(w * v for w, v in zip(weights, values, strict=True)))

    most = max(len(f.seeds) for f in figures)
    seeds = [f.seeds if len(f.seeds) == most else np.full(most, f.value) for f in figures]
    return replace(
        figures[0], value=float(total([np.array(f.value) for f in figures])), n=min(f.n for f in figures),
        clusters=min(f.clusters for f in figures), seeds=total(seeds), bounds=(-np.inf, np.inf),
        parts=tuple(total(p) for p in zip(*(f.parts for f in figures), strict=True)),
    )  # fmt: skip


def covariances(figures: Sequence[Resampled]) -> tuple[Floats, list[Tail]]:
    """(P, P) of the figures, by clusters and training seeds, and the P tails of their deviations.

    A variance by both ways below that by one of them, which small samples give, is raised to it.
    """
    ways = [_crossed(np.stack(p, axis=1)) for p in zip(*(f.parts for f in figures), strict=True)]
    found = ways[0] if len(ways) == 1 else ways[0] + ways[1] - ways[2]
    least = np.max([np.diag(w) for w in ways[:2]], axis=0)
    np.fill_diagonal(found, np.maximum(np.diag(found), least))
    n_seeds, share = min(len(f.seeds) for f in figures), np.zeros(len(figures))
    if n_seeds > 1:
        trained = np.cov(np.stack([f.seeds[:n_seeds] for f in figures]), ddof=1).reshape(found.shape) / n_seeds
        found = found + trained
        share = np.diag(trained) / np.maximum(np.diag(found), 1e-300)
    scale = np.array([max(1.0, abs(f.value)) for f in figures])
    np.fill_diagonal(found, np.where(np.sqrt(np.diag(found)) <= _ROUNDING * scale, 0.0, np.diag(found)))
    tails = [Tail(max(f.clusters - 1, 1), max(n_seeds - 1, 1), float(s)) for f, s in zip(figures, share, strict=True)]
    return found, tails


def _crossed(influence: Floats) -> Floats:
    """(P, P) from the influences (G, P) of G clusters."""
    active = max(int(influence.any(axis=1).sum()), 2)
    return np.asarray(influence.T @ influence * (active / (active - 1)))


class Bootstrap:
    """Rows in clusters, the same for every model measured on them, which makes comparisons paired.

    `user`, `item` (n_rows,): whose row it is and what it asks for, any integers; without items, clusters are users.
    """

    def __init__(self, user: Ints, resamples: int, seed: int, item: Ints | None = None) -> None:
        ways = [user] if item is None else [user, item, np.arange(len(user))]
        self._ways = [np.unique(way, return_inverse=True)[1] for way in ways]
        self._sizes = [int(way.max(initial=-1)) + 1 for way in self._ways]
        self.n_users, self._draws = self._sizes[0], Draws(resamples, seed)

    def mean(
        self, values: Floats, mask: npt.NDArray[np.bool_] | None = None, seeds: Sequence[float] = (),
        fixed_items: bool = False,
    ) -> Resampled:  # fmt: skip
        """The mean of `values` (n_rows,); NaN rows, and those outside `mask`, do not count.

        `fixed_items`: these very items are meant, not others like them, so that only users vary.
        """
        values = np.asarray(values, np.float64)
        counted = np.isfinite(values) if mask is None else np.isfinite(values) & mask
        inside = values[counted]
        if not len(inside):
            return Resampled(float("nan"), 0, 0, draws=self._draws)
        value = float(inside.mean())
        moved = (inside - value) / len(inside)
        parts = tuple(_sums(way[counted], moved, size) for way, size in zip(self._ways, self._sizes, strict=True))
        counts = [len(np.unique(way[counted])) for way in self._ways]
        if fixed_items and len(parts) > 1:
            parts, counts = (parts[0], *(np.zeros_like(p) for p in parts[1:])), counts[:1]
        bounds = (float(inside.min()), float(inside.max()))
        return Resampled(value, counts[0], min(counts[:2]), parts, np.array(seeds), self._draws, bounds)

    def means(self, columns: Sequence[Floats]) -> list[Resampled]:
        """The mean of each column (n_rows,) of values."""
        return [self.mean(column) for column in columns]

    def statistics(self, metric: WeightedMetrics) -> dict[str, Resampled]:
        """Any smooth function of row weights, recomputed with each group of clusters left out: the grouped jackknife
        (Shao & Tu, 1995, section 2.1.2)."""
        point = metric(np.ones((1, len(self._ways[0]))))
        moved = [self._left_out(way, size, metric, point) for way, size in zip(self._ways, self._sizes, strict=True)]
        clusters = min(self._sizes[:2])
        return {
            name: Resampled(
                float(v[0]), self.n_users, clusters, tuple(m[name] for m in moved), draws=self._draws,
                bounds=(0.0 if name in _SHARES | _POSITIVE else -np.inf, 1.0 if name in _SHARES else np.inf),
            )
            for name, v in point.items()
        }  # fmt: skip

    def _left_out(self, way: Ints, size: int, metric: WeightedMetrics, point: dict[str, Floats]) -> dict[str, Floats]:
        """Metric -> (G,) influences of groups of clusters."""
        n_groups = min(size, _GROUPS) if self._draws.resamples > 1 else 0
        if n_groups < 2:
            return {name: np.zeros(n_groups) for name in point}
        group = np.random.default_rng(self._draws.seed).permutation(size)[way] % n_groups
        step = max(1, _BLOCK // max(len(way), 1))
        blocks = [np.arange(start, min(start + step, n_groups)) for start in range(0, n_groups, step)]
        left = [metric((group != block[:, None]).astype(np.float64)) for block in blocks]
        without = {name: np.concatenate([b[name] for b in left]) for name in point}
        return {m: np.nan_to_num((np.nanmean(v) - v) if np.isfinite(v).any() else v) * (n_groups - 1) / n_groups
                for m, v in without.items()}  # fmt: skip


def _sums(way: Ints, values: Floats, size: int) -> Floats:
    """(size,) of the values of each cluster."""
    return np.bincount(way, values, size).astype(np.float64)


def mean_over_seeds(values: Sequence[npt.NDArray[np.floating]]) -> Floats:
    """(n_rows,) values of one model averaged over its seeds: seeds are no further users."""
    return np.asarray(np.mean(np.stack(values), axis=0))
