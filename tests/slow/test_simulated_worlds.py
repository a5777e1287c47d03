"""The instrument on simulated worlds of known effect: the proof that a verdict can be believed.

A world has users and items of its own, some items far more popular, and three training seeds of each of two models.
Both rank every query's target among 60 others; the model with text adds an effect that differs by item and by user,
and each fit its own noise. The truth is the mean over all such worlds. Nothing else is known to the instrument.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.statistics.bootstrap import Bootstrap, combined
from llmrec.evaluation.statistics.comparisons import Pair, compare

pytestmark = pytest.mark.timeout(1800)
WORLDS, QUERIES, USERS, ITEMS, OTHERS, SEEDS = 400, 2_000, 1_200, 250, 60, 3
EFFECTS = (0.0, 0.03, 0.10)
#: Worlds in which parts of the queries are set against the rest: two comparisons each, resampled.
PART_WORLDS = 200
#: Spread of a query's margin, by user and item; of the worth of text by user, by item and by query; of a fit.
MARGIN, WORTH, FIT = (0.3, 0.5), (0.1, 0.25, 0.3), 0.03


@dataclass(frozen=True)
class World:
    user: np.ndarray  # (Q,)
    item: np.ndarray
    without: np.ndarray  # (S, Q) NDCG@10
    with_text: np.ndarray


def ndcg(margin: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(S, Q) of the margins (S, Q) against the uniform draws (Q,) of how many of the others score higher."""
    above = norm.sf(margin)
    rank = 1 + np.floor(OTHERS * above + np.sqrt(OTHERS * above * (1 - above)) * others).clip(0, OTHERS)
    return np.where(rank <= 10, 1 / np.log2(rank + 1), 0.0)


def world(rng: np.random.Generator, worth: float, n: int = QUERIES, users: int = USERS, items: int = ITEMS) -> World:
    """Popularity falls with the square root of the rank; with fresh users and items for every query, the truth."""
    user = rng.integers(users, size=n)
    share = 1 / np.sqrt(np.arange(1, ITEMS + 1))
    item = rng.choice(ITEMS, size=n, p=share / share.sum()) if items == ITEMS else np.arange(n)
    by_user, by_item, noise = (rng.normal(size=(2, k)) for k in (users, items, n))
    margin = 1.0 + MARGIN[0] * by_user[0][user] + MARGIN[1] * by_item[0][item] + 0.5 * noise[0]
    text = worth + WORTH[0] * by_user[1][user] + WORTH[1] * by_item[1][item] + WORTH[2] * noise[1]
    others, seeds = rng.normal(size=n), FIT * rng.normal(size=(2, SEEDS if items == ITEMS else n))
    fits = [s[:, None] if items == ITEMS else s[None] for s in seeds]
    return World(user, item, ndcg(margin + fits[0], others), ndcg(margin + text + fits[1], others))


@cache
def truth(effect: float) -> tuple[float, float]:
    """(worth, difference) at which NDCG@10 with text is 1 + effect times that without, over 400,000 fresh queries."""
    n = 400_000

    def gain(worth: float) -> tuple[float, float]:
        w = world(np.random.default_rng(1), worth, n, n, n)
        return float(w.with_text.mean() - w.without.mean()), float(w.without.mean())

    worth = brentq(lambda x: gain(x)[0] - effect * gain(x)[1], -0.5, 1.0, xtol=1e-4)
    return worth, gain(worth)[0]


def judged(w: World, items: bool = True, seeds: bool = True) -> Comparison:
    bootstrap = Bootstrap(w.user, 2, 0, w.item if items else None)
    a, b = (
        bootstrap.mean(v.mean(axis=0), seeds=list(v.mean(axis=1)) if seeds else ()) for v in (w.with_text, w.without)
    )
    return compare([Pair("text", "no_text", "ndcg@10", a, b)], 0.95)[0]


def measured(effect: float, **left_out: bool) -> tuple[float, dict[str, float], float]:
    """(coverage, share of each verdict, power predicted from the standard errors)."""
    worth, difference = truth(effect)
    found = [judged(world(np.random.default_rng([2, n]), worth), **left_out) for n in range(WORLDS)]
    covered = [c.difference.low <= difference <= c.difference.high for c in found]
    verdicts = {v: float(np.mean([c.verdict == v for c in found])) for v in ("better", "worse")}
    z = [(c.difference.high - c.difference.low) / 2 / c.difference.se for c in found]
    expected = [norm.sf(crit - difference / c.difference.se) for crit, c in zip(z, found, strict=True)]
    return float(np.mean(covered)), verdicts, float(np.mean(expected))


@pytest.mark.parametrize("effect", EFFECTS)
def test_intervals_cover_and_power_is_as_predicted(effect: float) -> None:
    coverage, verdicts, power = measured(effect)
    print(f"effect {effect:+.0%}: coverage {coverage:.3f}, verdicts {verdicts}, predicted power {power:.3f}")
    assert 0.93 <= coverage <= 0.97
    if effect:
        assert abs(verdicts["better"] - power) <= 0.10 and verdicts["worse"] <= 0.05
    else:
        assert sum(verdicts.values()) <= 0.05


@pytest.mark.parametrize("left_out", ["items", "seeds"])
def test_with_clusters_or_seeds_left_out_they_do_not(left_out: str) -> None:
    assert measured(0.03, **{left_out: False})[0] < 0.93


def parts_told_apart(effect: float, tail: float = 1.0) -> tuple[float, float]:
    """Share of worlds in which any part is set apart from the rest, and in which the popular half of the items is said
    to gain more; `tail`: the worth of text for the other half, as a share."""
    worth, _ = truth(effect)
    apart = more = 0
    for n in range(PART_WORLDS):
        whole, other = (world(np.random.default_rng([3, n]), w) for w in (worth, worth * tail))  # the same draws
        popular = whole.item < ITEMS // 2
        with_text = np.where(popular, whole.with_text, other.with_text)
        bootstrap = Bootstrap(whole.user, 2_000, n, whole.item)
        pairs = []
        for part in (popular, whole.user < USERS // 2):
            sides = [
                [
                    bootstrap.mean(v.mean(axis=0), mask, list(v[:, mask].mean(axis=1)))
                    for v in (with_text, whole.without)
                ]
                for mask in (part, ~part)
            ]
            inside, outside = (combined(figures, [1, -1]) for figures in sides)
            pairs.append(Pair("text", "no_text", "ndcg@10", inside, outside, relative=False))
        found = [c.verdict for c in compare(pairs, 0.95)]
        apart += any(v in ("better", "worse") for v in found)
        more += found[0] == "better"
    return apart / PART_WORLDS, more / PART_WORLDS


@pytest.mark.parametrize("effect", [0.0, 0.10])
def test_parts_that_do_not_differ_are_told_apart_no_more_often_than_stated(effect: float) -> None:
    apart, _ = parts_told_apart(effect)
    print(f"effect {effect:+.0%} everywhere: parts told apart in {apart:.3f}")
    assert apart <= 0.05 + 2 * (0.05 * 0.95 / PART_WORLDS) ** 0.5  # two standard errors of a share of 5 %


def test_a_part_that_gains_more_is_found() -> None:
    _, more = parts_told_apart(0.40, tail=0.0)
    print(f"effect +40% for the popular half of the items alone: told in {more:.3f}")
    assert more > 0.5
