"""Intervals that may be looked at after every user: the chance that one of them ever misses is the stated one.

Asymptotic confidence sequences: Robbins' normal mixture with the estimated variance (Waudby-Smith, Arbour, Sinha,
Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 2024,
theorem 2.2; the mixture: Howard, Ramdas, McAuliffe & Sekhon, Annals of Statistics 2021, section 3.2).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
#: Below so many users there is no interval: the central limit is not there yet.
LEAST = 100
#: The number of users at which intervals are as narrow as they can be made.
_TIGHTEST = 1_000


@dataclass(frozen=True)
class Sequence:
    """The interval as of the last user; `low`, `high` None before `LEAST`."""

    value: float
    low: float | None
    high: float | None
    n: int


def mean_sequence(values: Doubles, alpha: float) -> Sequence:
    """Of the mean of independent `values` (n,), in the order in which they came."""
    n = len(values)
    if n < LEAST:
        return Sequence(float(values.mean()) if n else 0.0, None, None, n)
    half = _radius(n, alpha) * float(values.std())
    return Sequence(float(values.mean()), float(values.mean()) - half, float(values.mean()) + half, n)


def _radius(n: int, alpha: float) -> float:
    """In standard deviations of one value."""
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / _TIGHTEST
    return float(np.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * np.log(np.sqrt(n * rho2 + 1) / alpha)))


def difference_sequence(outcome: Doubles, treated: npt.NDArray[np.bool_], share: float, alpha: float) -> Sequence:
    """Of the mean outcome under treatment less that under control.

    Args:
        outcome: (n,) of users in the order in which they came.
        treated: (n,) which of the two arms each has, drawn with probability `share`.

    Each user counts as what inverse weighting says of both arms, around the arms' means over earlier users (AIPW: same
    paper, section 3.1), which does not move the mean and makes the interval narrow.
    """
    if min(treated.sum(), (~treated).sum()) < LEAST:
        means = [outcome[own].mean() if own.any() else 0.0 for own in (treated, ~treated)]
        return Sequence(float(means[0] - means[1]), None, None, len(outcome))
    with_it, without = _earlier_mean(outcome, treated), _earlier_mean(outcome, ~treated)
    told = with_it - without + np.where(
        treated, (outcome - with_it) / share, -(outcome - without) / (1 - share)
    )  # fmt: skip
    return mean_sequence(told, alpha)


def _earlier_mean(values: Doubles, own: npt.NDArray[np.bool_]) -> Doubles:
    """(n,) mean of the values of `own` rows before each row; 0 before the first."""
    total, count = np.cumsum(np.where(own, values, 0)), np.cumsum(own)
    before = np.append(0, total[:-1]), np.append(0, count[:-1])
    return np.asarray(before[0] / np.maximum(before[1], 1))
