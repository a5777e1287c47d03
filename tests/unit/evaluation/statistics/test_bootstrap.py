"""Intervals: coverage where the truth is known, whole users, the same draws for every model."""

import numpy as np
import pytest

from llmrec.evaluation.labels.metrics import auc, click_metrics
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, mean_over_seeds


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


def test_the_spread_of_an_auc_is_that_of_drawing_users_anew() -> None:
    rng = np.random.default_rng(0)
    user = rng.integers(300, size=1200)
    label = rng.random(1200) < 0.2 + 0.4 * (user % 2)
    score = 1 / (1 + np.exp(-0.3 * label - rng.normal(size=300)[user]))
    found = Bootstrap(user, 2, 3).statistics(click_metrics(label, score, user, 0.5))["auc"].estimate(0.95)
    rows = [np.flatnonzero(user == u) for u in range(300)]
    drawn = [np.concatenate([rows[u] for u in rng.integers(300, size=300)]) for _ in range(400)]
    assert found.se == pytest.approx(np.std([auc(label[r] > 0, score[r])[0] for r in drawn]), rel=0.15)


def test_no_interval_leaves_what_the_metric_can_be() -> None:
    """Of a few rows, one wrong."""
    label, user = np.array([True, False, True, False]), np.arange(4)
    score = np.array([0.9, 0.1, 0.4, 0.5])
    found = Bootstrap(user, 2, 3).statistics(click_metrics(label, score, user, 0.5))
    for name in ("auc", "accuracy", "ece"):
        seen = found[name].estimate(0.95)
        assert seen.low is not None and seen.high is not None and 0 <= seen.low <= seen.value <= seen.high <= 1
    loss = found["log_loss"].estimate(0.95)
    assert loss.low == 0 and loss.high is not None and loss.high > 1


def test_blocks_of_the_jackknife_give_the_same_influences(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    metric = click_metrics(rng.random(50) < 0.5, rng.random(50), np.arange(50), 0.5)
    whole = Bootstrap(np.arange(50), 64, 9).statistics(metric)["auc"].parts[0]
    monkeypatch.setattr("llmrec.evaluation.statistics.bootstrap._BLOCK", 500)
    np.testing.assert_allclose(Bootstrap(np.arange(50), 64, 9).statistics(metric)["auc"].parts[0], whole, rtol=1e-12)


def test_seeds_are_averaged_within_a_row() -> None:
    assert mean_over_seeds([np.array([0.0, 1]), np.array([1.0, 1])]).tolist() == [0.5, 1]
    assert Resampled(1.0, 5, 5).estimate(0.95).low is None
