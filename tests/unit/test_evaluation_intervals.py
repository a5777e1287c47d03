"""Intervals: coverage where the truth is known, pairing, correction, and what a verdict rests on."""

import numpy as np
import pytest

from llmrec.evaluation.labels.metrics import auc, click_metrics
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, mean_over_seeds
from llmrec.evaluation.statistics.comparisons import Pair, compare


def pairs_of(bootstrap: Bootstrap, a: np.ndarray, b: np.ndarray, metric: str = "ndcg@10") -> list[Pair]:
    first, second = bootstrap.means([a, b])
    return [Pair("a", "b", metric, first, second)]


def test_the_point_estimate_is_the_mean_over_rows() -> None:
    found = Bootstrap(np.array([1, 1, 2]), 50, 0).means([np.array([1.0, 0, 1]), np.array([np.nan, 4, np.nan])])
    assert (found[0].value, found[0].n) == (pytest.approx(2 / 3), 2)
    assert (found[1].value, found[1].n) == (4, 1)


def test_the_standard_error_equals_the_formula_for_independent_users() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000)
    found = Bootstrap(np.arange(2000), 2000, 1).means([values])[0].estimate(0.95)
    assert found.se == pytest.approx(values.std(ddof=1) / 2000**0.5, rel=0.08)
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.se, rel=0.1)


def test_rows_of_one_user_are_not_independent() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=200), 10)
    user = np.repeat(np.arange(200), 10)
    by_user = Bootstrap(user, 1000, 0).means([values])[0].estimate(0.95).se
    by_row = Bootstrap(np.arange(2000), 1000, 0).means([values])[0].estimate(0.95).se
    assert by_user is not None and by_row is not None
    assert by_user == pytest.approx(10**0.5 * by_row, rel=0.15)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).exponential(size=150)
        found = Bootstrap(np.arange(150), 400, seed).means([values])[0].estimate(0.9)
        assert found.low is not None and found.high is not None
        covered += found.low <= 1 <= found.high
    assert 165 <= covered <= 194  # binomial(200, .9): five standard deviations below, three above


def test_pairing_finds_what_separate_intervals_cannot() -> None:
    rng = np.random.default_rng(0)
    b = rng.random(300)
    a = b + rng.normal(0.02, 0.05, 300)
    found = compare(pairs_of(Bootstrap(np.arange(300), 1000, 0), a, b), 0.95)[0]
    assert found.verdict == "better"
    assert found.difference.se is not None and found.difference.se < 0.01 < b.std() / 300**0.5
    assert found.ratio is not None and found.ratio.value == pytest.approx(a.mean() / b.mean() - 1)


def test_lower_is_better_turns_the_verdict() -> None:
    b = np.random.default_rng(0).random(200)
    bootstrap = Bootstrap(np.arange(200), 500, 0)
    assert compare(pairs_of(bootstrap, b + 0.1 + b / 50, b, "log_loss"), 0.95)[0].verdict == "worse"
    assert compare(pairs_of(bootstrap, b - 0.1 - b / 50, b, "log_loss"), 0.95)[0].verdict == "better"


def test_no_spread_no_verdict() -> None:
    same = np.ones(50)
    assert compare(pairs_of(Bootstrap(np.arange(50), 100, 0), same, same), 0.95)[0].verdict == "cannot tell"
    one_user = compare(pairs_of(Bootstrap(np.zeros(50, int), 100, 0), same, same * 0), 0.95)[0]
    assert one_user.verdict == "cannot tell"
    without = compare(pairs_of(Bootstrap(np.arange(50), 0, 0), same, same * 0), 0.95)[0]
    assert without.verdict == "cannot tell" and without.difference.low is None


def test_rounding_is_no_spread() -> None:
    """Constant differences leave standard errors of 1e-17, which must not decide a verdict."""
    b = np.random.default_rng(0).random(300)
    found = compare(pairs_of(Bootstrap(np.arange(300), 200, 0), b + 0.1, b), 0.95)[0]
    assert found.verdict == "cannot tell" and found.difference.value == pytest.approx(0.1)
    assert found.difference.se is None and found.p_value is None


def test_the_family_keeps_its_error_rate() -> None:
    """Twenty comparisons without any true difference: a false verdict in at most 5 % of families."""
    false_families, false_single = 0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        bootstrap = Bootstrap(np.arange(120), 300, seed)
        drawn = bootstrap.means(list(rng.normal(size=(40, 120))))
        pairs = [Pair(f"a{j}", f"b{j}", "ndcg@10", drawn[j], drawn[20 + j]) for j in range(20)]
        false_families += any(c.verdict != "cannot tell" for c in compare(pairs, 0.95))
        false_single += any(c.verdict != "cannot tell" for p in pairs for c in compare([p], 0.95))
    assert false_families <= 13  # binomial(100, .05) exceeds 13 once in 2,500 times
    assert false_single > 40  # uncorrected, most families have one: the correction does something


def test_the_smallest_detectable_difference_is_found_with_the_stated_power() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=(150, 200))
    detectable = compare(pairs_of(Bootstrap(np.arange(200), 500, 0), noise[0], np.zeros(200)), 0.95)[0]
    shift = detectable.smallest_detectable
    assert shift is not None and shift == pytest.approx(2.8 / 200**0.5, rel=0.15)
    found = sum(
        compare(pairs_of(Bootstrap(np.arange(200), 300, i), n + shift, np.zeros(200)), 0.95)[0].verdict == "better"
        for i, n in enumerate(noise)
    )
    assert 0.68 <= found / 150 <= 0.93


def test_auc_is_recomputed_on_each_resample() -> None:
    rng = np.random.default_rng(0)
    label, score = rng.random(400) < 0.3, rng.random(400)
    user = rng.integers(60, size=400)
    bootstrap = Bootstrap(user, 30, 3)
    drawn = bootstrap.statistics(click_metrics(label, score, user, 0.5))["auc"]
    weights = next(bootstrap._weights(60))
    by_hand = []
    for counts in weights:
        rows = np.repeat(np.arange(400), counts[user].astype(int))
        by_hand.append(auc(label[rows], score[rows])[0])
    np.testing.assert_allclose(drawn.draws, by_hand, atol=1e-12)


def test_blocks_of_resamples_give_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(50)
    whole = Bootstrap(np.arange(50), 64, 9).means([values])[0].draws
    monkeypatch.setattr("llmrec.evaluation.statistics.bootstrap._BLOCK", 500)
    np.testing.assert_allclose(Bootstrap(np.arange(50), 64, 9).means([values])[0].draws, whole, rtol=1e-12)


def test_seeds_are_averaged_within_a_row() -> None:
    assert mean_over_seeds([np.array([0.0, 1]), np.array([1.0, 1])]).tolist() == [0.5, 1]
    assert Resampled(1.0, np.empty(0), 5).estimate(0.95).low is None
