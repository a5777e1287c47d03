"""Comparisons: pairing, correction, and what a verdict rests on."""

import numpy as np
import pytest

from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.evaluation.statistics.comparisons import Pair, compare


def pairs_of(bootstrap: Bootstrap, a: np.ndarray, b: np.ndarray, metric: str = "ndcg@10") -> list[Pair]:
    first, second = bootstrap.means([a, b])
    return [Pair("a", "b", metric, first, second)]


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
