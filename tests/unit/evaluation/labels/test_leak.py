"""The leak gap where the answer stands in the review, and where it says nothing."""

import numpy as np
import pytest

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.labels import leak
from llmrec.evaluation.labels.raters import RatedRows
from llmrec.evaluation.ranking.baselines import WithFallback, fit_data, make, quality
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.features.asof.interactions import Interactions
from llmrec.schema import DAY_MS


def corpus(n: int, each: int, seed: int) -> Interactions:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(n // 2, size=n)) * DAY_MS  # ties
    user, item = rng.integers(n // each, size=n), rng.integers(n // each, size=n)
    given = np.clip(np.round(3.5 + (item % 3 - 1) + (user % 3 - 1) * 0.5 + rng.normal(0, 0.8, n)), 1, 5)
    return Interactions.from_arrays([f"u{u}" for u in user], [f"i{i}" for i in item], time, given.astype(np.float32))


def test_the_gap_is_large_where_the_review_tells_the_stars_and_nil_where_it_says_nothing() -> None:
    data = corpus(6000, each=2, seed=4)
    telling = np.random.default_rng(0).normal(0, 0.1, (6000, 3)).astype(np.float32)
    silent = telling.copy()
    telling[:, 0] += (data.stars - 3) * (np.random.default_rng(1).random(6000) < 0.9)
    split = protocols.temporal(data, *np.quantile(data.time, [0.8, 0.9]).tolist())
    config, settings = EvaluationConfig(bootstrap=200), {"damping": 3.0, "ridge": 10.0}
    gaps = {g.put_back: g for g in leak.star_gaps(RatedRows.of(split, telling, 7), settings, config, 7)}
    assert list(gaps) == ["user side", "item side", "both"]
    found = gaps["both"].gap
    assert found is not None and found.high is not None and found.high < 0
    assert all(g.leaked.value < g.clean.value for g in gaps.values())
    assert not any(g.existence_leak for g in gaps.values())
    for quiet in leak.star_gaps(RatedRows.of(split, silent, 7), settings, config, 7):
        assert quiet.gap is not None and quiet.gap.value == pytest.approx(0, abs=0.02)


@pytest.fixture(scope="module")
def ranked() -> tuple[Fold, np.ndarray]:
    """Each review names its item; who takes what is random."""
    rng = np.random.default_rng(0)
    n = 500
    item = rng.integers(30, size=n)
    data = Interactions.from_arrays(
        [f"u{u:02}" for u in rng.integers(25, size=n)], [f"i{i:02}" for i in item], np.arange(n) * DAY_MS
    )
    vectors = np.eye(31, dtype=np.float32)[data.item] + rng.normal(0, 0.05, (n, 31)).astype(np.float32)
    return protocols.temporal(data, 380 * DAY_MS, 430 * DAY_MS).test, vectors


def test_a_ranking_finds_the_target_whose_review_was_put_back(ranked: tuple[Fold, np.ndarray]) -> None:
    fold, vectors = ranked
    config = EvaluationConfig(bootstrap=50, primary_metric="ndcg@10")
    gaps = {g.put_back: g for g in leak.ranking_gaps(fold, vectors, config, "temporal", 7)}
    clean = make("boosted_text", {})
    clean.fit(fit_data(fold, vectors, 7))
    value = quality(lists_of(WithFallback(clean), fold, 10), fold, "ndcg@10")
    assert {side: g.existence_leak for side, g in gaps.items()} == {"user side": False, "item side": True, "both": True}
    for gap in gaps.values():
        assert gap.clean.value == pytest.approx(value, abs=1e-12)
        assert gap.gap is not None and gap.gap.value == pytest.approx(gap.leaked.value - gap.clean.value)
    both = gaps["both"].gap
    assert both is not None and both.low is not None and both.low > 0.1
