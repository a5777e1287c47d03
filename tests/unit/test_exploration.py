"""Propensities are the frequencies of what is drawn, and inverse weighting by them is unbiased."""

from collections import Counter

import numpy as np
import pytest

from llmrec.exploration import Exploration, LinearState, Policy, Pool, demand_draws, explore, standardised

SCORES = np.array([3.0, 2.5, 2.2, 2.0, -1.0])
EVENTS, DAYS = np.array([50.0, 40.0, 3.0, 0.0, 0.0]), np.array([300.0, 300.0, 20.0, 2.0, 300.0])

CONTEXTS = standardised(SCORES, EVENTS[:, None])
#: Each seen a hundred times, the fourth taken each time.
LEARNED = LinearState.nothing_seen(3).after(np.tile(CONTEXTS, (100, 1)), np.tile([0.0, 0, 0, 1, 0], 100))
POOL = Pool(SCORES, EVENTS, DAYS, CONTEXTS, LEARNED)


def one(policy: Policy, rate: float, seed: int | None = None, k: int = 3) -> tuple[list[int], list[float]]:
    found = explore(Exploration(policy, rate, seed), POOL, k)
    return found.places.tolist(), found.propensities.tolist()


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_without_exploration_the_list_is_the_best_and_certain(policy: Policy) -> None:
    assert one(policy, 0.0) == ([0, 1, 2], [1.0, 1.0, 1.0])
    assert one(policy, 0.0, k=9)[0] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_the_same_seed_draws_the_same_and_no_item_comes_twice(policy: Policy) -> None:
    assert one(policy, 1.0, 3) == one(policy, 1.0, 3)
    for seed in range(50):
        places, propensities = one(policy, 0.7, seed, k=5)
        assert sorted(places) == [0, 1, 2, 3, 4]
        assert all(0 < p <= 1 for p in propensities) and propensities[-1] == pytest.approx(1)


def test_epsilons_propensities_are_its_frequencies() -> None:
    n, rate = 8_000, 0.4
    first, second, told = Counter[int](), Counter[tuple[int, int]](), dict[int, float]()
    for seed in range(n):
        places, propensities = one("epsilon", rate, seed, k=2)
        first[places[0]] += 1
        second[places[0], places[1]] += 1
        told[places[0]] = propensities[0]
        assert propensities[1] == pytest.approx(0.4 / 4 + 0.6 * (places[1] == (0 if places[0] else 1)))
    assert told == pytest.approx({place: 0.4 / 5 + 0.6 * (place == 0) for place in range(5)})
    assert all(abs(first[place] / n - told[place]) < 4 * np.sqrt(told[place] / n) for place in range(5))
    assert abs(second[0, 1] / first[0] - 0.7) < 0.03


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


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_the_probabilities_of_all_that_a_slot_could_hold_add_up(policy: Policy) -> None:
    """By frequency: what each item says of its own chance is how often it comes."""
    n, told, came = 2_000, dict[int, list[float]](), Counter[int]()
    for seed in range(n):
        places, propensities = one(policy, 0.5, seed, k=1)
        came[places[0]] += 1
        told.setdefault(places[0], []).append(propensities[0])
    chances = {place: float(np.mean(values)) for place, values in told.items()}
    assert sum(chances.values()) == pytest.approx(1, abs=0.02)
    assert all(abs(came[place] / n - chance) < 4 * np.sqrt(0.25 / n) for place, chance in chances.items())


def test_linucb_is_ridge_regression_with_a_bound_by_hand() -> None:
    x = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    state = LinearState.nothing_seen(2).after(x, np.array([0.0, 1.0, 1.0]))
    np.testing.assert_allclose(state.shown, [[4, 2], [2, 3]])
    theta = np.array([3 * 2 - 2 * 2, 4 * 2 - 2 * 2]) / 8  # A⁻¹ b by Cramer's rule
    np.testing.assert_allclose(state.expected(x), x @ theta)
    width = np.sqrt([3 / 8, 3 / 8])  # xᵀ A⁻¹ x of (1, 0) and of (1, 1)
    np.testing.assert_allclose(state.upper(x[:2], 2.0) - state.expected(x[:2]), 2 * width)
    later = LinearState.nothing_seen(2).after(x, np.zeros(3)).paid(x[1:])
    np.testing.assert_allclose(later.rewarded, state.rewarded)


def test_linucb_explores_the_one_item_that_its_bound_names() -> None:
    firsts = {one("linucb", 1.0, seed, k=1)[0][0] for seed in range(20)}
    assert firsts == {int(LEARNED.upper(CONTEXTS, 1.0).argmax())}
    found = explore(Exploration("linucb", 0.25, 0), POOL, 5)
    assert set(found.shares) <= {0.0, 1.0}
    np.testing.assert_allclose(found.propensities, 0.25 * found.shares + 0.75 * found.best)


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_a_slot_says_what_estimates_of_other_policies_ask_for(policy: Policy) -> None:
    found = explore(Exploration(policy, 0.4, 5), POOL, 3)
    np.testing.assert_allclose(found.propensities, 0.4 * found.shares + 0.6 * found.best)
    np.testing.assert_allclose(found.contexts[0], CONTEXTS[found.places])
    left = [p for p in range(5) if p not in found.places[:1]]
    np.testing.assert_allclose(found.contexts[1, 1], CONTEXTS[left[0]])
    if policy == "epsilon":
        np.testing.assert_allclose(found.contexts[2, 1], CONTEXTS[left].mean(axis=0))


def test_contexts_survive_what_is_no_number() -> None:
    found = standardised(np.array([1.0, 1.0, 1.0]), np.array([[np.nan], [np.inf], [1e300]]))
    assert np.isfinite(found).all() and (found[:, 1] == 0).all()
