"""A slot explores with probability `rate`, else it holds the best item left.

`epsilon`: any of the candidates left, alike (Sutton & Barto, 2018, section 2.2). `thompson`: the best left by scores
drawn from what is not known of demand (Thompson, Biometrika 1933; Chapelle & Li, NeurIPS 2011). `linucb`: the one left
with the highest upper bound of its reward; nothing is drawn there but whether the slot explores.

A propensity is the probability of the item in its slot given the slots above it; their product is the list's. All are
exact: Thompson's draws are taken first, as many as DRAWS, and a slot picks one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.exploration.demand import Doubles, Ints, demand_draws
from llmrec.exploration.linucb import LinearState

Policy = Literal["epsilon", "thompson", "linucb"]
#: Of LinUCB's upper bound, in standard errors.
ALPHA = 1.0


@dataclass(frozen=True)
class Exploration:
    """What a request asks for. The same `seed` draws the same; None: whatever comes."""

    policy: Policy
    rate: float
    seed: int | None = None


@dataclass(frozen=True)
class Pool:
    """N candidates, the best first: `scores`, decayed `events` and `days` at risk, (N,) each, and `contexts` (N, d)."""

    scores: npt.NDArray[np.floating]
    events: Doubles
    days: Doubles
    contexts: Doubles
    learned: LinearState | None = None  # of `linucb`; None: nothing seen yet


@dataclass(frozen=True)
class Explored:
    """The slots (k,), the first one first: places among the candidates, and what another policy's estimate asks for.

    `shares` (k,): the probability of the item if the slot explores; `best` (k,): whether it is the best left.
    `contexts` (3, k, d): of the item, of the best left, and the mean over what the slot holds where it explores.
    """

    places: Ints
    propensities: Doubles
    shares: Doubles
    best: npt.NDArray[np.bool_]
    contexts: Doubles


def explore(asked: Exploration, pool: Pool, k: int) -> Explored:
    """The `k` slots, or as many as there are candidates."""
    draw = np.random.default_rng(asked.seed)
    share_of = _share(asked.policy, pool, draw)
    left, k = np.arange(len(pool.scores)), min(k, len(pool.scores))
    found = Explored(
        np.zeros(k, np.int64), np.zeros(k), np.zeros(k), np.zeros(k, np.bool_), np.zeros((3, k, pool.contexts.shape[1]))
    )
    for slot in range(k):
        share = share_of(left)
        chance = asked.rate * share
        chance[0] += 1 - asked.rate  # the candidates left are the best first
        at = int(draw.choice(len(left), p=chance / chance.sum()))
        found.places[slot], found.propensities[slot] = left[at], chance[at]
        found.shares[slot], found.best[slot] = share[at], at == 0
        found.contexts[:, slot] = pool.contexts[left[at]], pool.contexts[left[0]], share @ pool.contexts[left]
        left = np.delete(left, at)
    return found


def _share(policy: Policy, pool: Pool, draw: np.random.Generator) -> Callable[[Ints], Doubles]:
    """Of the candidates left (n,), the probability (n,) of each in a slot that explores."""
    if policy == "epsilon":
        return lambda left: np.full(len(left), 1 / len(left))
    if policy == "thompson":
        drawn = demand_draws(pool.scores, pool.events, pool.days, draw)
        return lambda left: _wins(drawn[:, left])
    learned = pool.learned or LinearState.nothing_seen(pool.contexts.shape[1])
    upper = learned.upper(pool.contexts, ALPHA)[None]
    return lambda left: _wins(upper[:, left])


def _wins(drawn: Doubles) -> Doubles:
    """(N,) how often each candidate is the best of a draw."""
    return np.bincount(drawn.argmax(axis=1), minlength=drawn.shape[1]) / len(drawn)
