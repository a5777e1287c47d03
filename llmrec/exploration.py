"""Slots chosen by chance, each with the probability of its choice, for estimates of what another policy would have got.

A slot explores with probability `rate`, else it holds the best item left. `epsilon`: any of the candidates left, alike
(Sutton & Barto, 2018, section 2.2). `thompson`: the best left by scores drawn from what is not known of demand
(Thompson, Biometrika 1933; Chapelle & Li, NeurIPS 2011): each item's rate has a gamma posterior.

A propensity is the probability of the item in its slot given the slots above it; their product is the list's. Both are
exact: Thompson's draws are taken first, as many as DRAWS, and a slot picks one of them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.history import History
from llmrec.schema import DAY_MS

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Policy = Literal["epsilon", "thompson"]
DRAWS = 256
#: The gamma prior of a rate, as in the feature family `item_rate`: half an event in three days.
PRIOR_EVENTS, PRIOR_DAYS = 0.5, 3.0


@dataclass(frozen=True)
class Exploration:
    """What a request asks for. The same `seed` draws the same; None: whatever comes."""

    policy: Policy
    rate: float
    seed: int | None = None


@dataclass(frozen=True)
class Explored:
    """Places (k,) among the candidates, the first slot first, and the propensity (k,) of each in its slot."""

    places: Ints
    propensities: Doubles


def explore(asked: Exploration, scores: npt.NDArray[np.floating], events: Doubles, days: Doubles, k: int) -> Explored:
    """The `k` slots of N candidates with `scores` (N,), the best first.

    Args:
        events, days: (N,) of each candidate: decayed events and days at risk, for `thompson`.
    """
    draw = np.random.default_rng(asked.seed)
    drawn = demand_draws(scores, events, days, draw) if asked.policy == "thompson" else None
    left, places, propensities = np.arange(len(scores)), list[int](), list[float]()
    for _ in range(min(k, len(scores))):
        share = np.full(len(left), 1 / len(left)) if drawn is None else _wins(drawn[:, left])
        chance = asked.rate * share
        chance[0] += 1 - asked.rate  # the candidates left are the best first
        at = int(draw.choice(len(left), p=chance / chance.sum()))
        places.append(int(left[at]))
        propensities.append(float(chance[at]))
        left = np.delete(left, at)
    return Explored(np.array(places, np.int64), np.array(propensities))


def demand(history: History, rows: Ints, time: int) -> tuple[Doubles, Doubles]:
    """(N,) decayed events of the items `rows` in the longest window, and the decayed days in which they could come."""
    at = np.full(len(rows), time, np.int64)
    counts, age = history.item_counts(rows, at), np.maximum(time - history.known_since[rows], 0) / DAY_MS
    windows = history.settings.popularity_days
    if not windows:
        return counts.count, age
    longest = int(np.argmax(windows))
    return counts.decayed[:, longest], -windows[longest] * np.expm1(-age / windows[longest])


def demand_draws(
    scores: npt.NDArray[np.floating], events: Doubles, days: Doubles, draw: np.random.Generator
) -> Doubles:
    """(DRAWS, N) scores with each item's log rate replaced by one from its posterior.

    Popularity enters the score by its logarithm with weight one, as the prior correction has it. The rate's posterior
    after `events` in `days` is Gamma(events + ½, days + 3): wide where little was seen.
    """
    shape, days = np.asarray(events) + PRIOR_EVENTS, np.asarray(days) + PRIOR_DAYS
    logs = np.log(np.maximum(draw.gamma(shape, size=(DRAWS, len(shape))), np.finfo(np.float64).tiny)) - np.log(days)
    found: Doubles = np.asarray(scores, np.float64) + logs - np.log(shape / days)
    return found


def _wins(drawn: Doubles) -> Doubles:
    """(N,) how often each candidate is the best of a draw."""
    return np.bincount(drawn.argmax(axis=1), minlength=drawn.shape[1]) / len(drawn)
