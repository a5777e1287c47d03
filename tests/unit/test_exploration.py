"""Propensities are the frequencies of what is drawn, and inverse weighting by them is unbiased."""

from collections import Counter

import numpy as np
import pytest

from llmrec.exploration import Exploration, Policy, demand_draws, explore

SCORES = np.array([3.0, 2.5, 2.2, 2.0, -1.0])
EVENTS, DAYS = np.array([50.0, 40.0, 3.0, 0.0, 0.0]), np.array([300.0, 300.0, 20.0, 2.0, 300.0])


def one(policy: Policy, rate: float, seed: int | None = None, k: int = 3) -> tuple[list[int], list[float]]:
    found = explore(Exploration(policy, rate, seed), SCORES, EVENTS, DAYS, k)
    return found.places.tolist(), found.propensities.tolist()


@pytest.mark.parametrize("policy", ["epsilon", "thompson"])
def test_without_exploration_the_list_is_the_best_and_certain(policy: Policy) -> None:
    assert one(policy, 0.0) == ([0, 1, 2], [1.0, 1.0, 1.0])
    assert one(policy, 0.0, k=9)[0] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("policy", ["epsilon", "thompson"])
def test_the_same_seed_draws_the_same_and_no_item_comes_twice(policy: Policy) -> None:
    assert one(policy, 1.0, 3) == one(policy, 1.0, 3)
    for seed in range(50):
        places, propensities = one(policy, 0.7, seed, k=5)
        assert sorted(places) == [0, 1, 2, 3, 4]
        assert all(0 < p <= 1 for p in propensities) and propensities[-1] == pytest.approx(1)


def test_epsilons_propensities_are_its_frequencies() -> None:
    n, rate = 20_000, 0.4
    first, second, told = Counter[int](), Counter[tuple[int, int]](), dict[int, float]()
    for seed in range(n):
        places, propensities = one("epsilon", rate, seed, k=2)
        first[places[0]] += 1
        second[places[0], places[1]] += 1
        told[places[0]] = propensities[0]
        assert propensities[1] == pytest.approx(0.4 / 4 + 0.6 * (places[1] == (0 if places[0] else 1)))
    assert told == pytest.approx({place: 0.4 / 5 + 0.6 * (place == 0) for place in range(5)})
    assert all(abs(first[place] / n - told[place]) < 4 * np.sqrt(told[place] / n) for place in range(5))
    assert abs(second[0, 1] / first[0] - 0.7) < 0.02


def test_thompson_is_surer_of_what_it_has_seen_and_says_how_sure() -> None:
    draws = demand_draws(SCORES, EVENTS, DAYS, np.random.default_rng(0))
    assert draws.std(axis=0)[0] < draws.std(axis=0)[2] < draws.std(axis=0)[3]
    firsts = [one("thompson", 1.0, seed, k=1) for seed in range(2_000)]
    frequency = Counter(places[0] for places, _ in firsts)
    told = {place: np.mean([p[0] for places, p in firsts if places[0] == place]) for place in frequency}
    assert frequency[0] > frequency[3] > 0
    for place, share in told.items():
        assert share == pytest.approx(frequency[place] / 2_000, abs=0.05)


@pytest.mark.parametrize("policy", ["epsilon", "thompson"])
def test_inverse_propensities_estimate_another_policys_reward(policy: Policy) -> None:
    """The policy that always shows item 1 first, from lists that seldom do."""
    reward = np.array([0.1, 0.8, 0.3, 0.5, 0.2])
    draw, values = np.random.default_rng(1), []
    for seed in range(6_000):
        places, propensities = one(policy, 0.6, seed, k=1)
        outcome = draw.random() < reward[places[0]]
        values.append((places[0] == 1) * outcome / propensities[0])
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - 0.8) < 3.5 * error
