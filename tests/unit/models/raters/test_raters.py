"""Stars as of a moment against a plain loop, and the leak gap where the answer stands in the review."""

import numpy as np
import pytest

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data import protocols
from llmrec.evaluation.labels import leak, stars
from llmrec.features.asof.interactions import Interactions
from llmrec.features.asof.text_profiles import Profiles
from llmrec.schema import DAY_MS


def corpus(n: int, seed: int = 0, each: int = 12) -> Interactions:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(n // 2, size=n)) * DAY_MS  # ties
    user, item = rng.integers(n // each, size=n), rng.integers(n // each, size=n)
    given = np.clip(np.round(3.5 + (item % 3 - 1) + (user % 3 - 1) * 0.5 + rng.normal(0, 0.8, n)), 1, 5)
    return Interactions.from_arrays([f"u{u}" for u in user], [f"i{i}" for i in item], time, given.astype(np.float32))


def plain_bias(data: Interactions, damping: float, row: int) -> float:
    """The definition, one row at a time."""

    def item_part(item: int, time: int) -> float:
        before = data.stars[data.time < time]
        mean = float(before.mean()) if len(before) else 0.0
        own = data.stars[(data.item == item) & (data.time < time)]
        return mean + float((own - mean).sum()) / (len(own) + damping)

    time = int(data.time[row])
    mine = np.flatnonzero((data.user == data.user[row]) & (data.time < time))
    residual = [float(data.stars[r]) - item_part(int(data.item[r]), int(data.time[r])) for r in mine]
    return item_part(int(data.item[row]), time) + sum(residual) / (len(residual) + damping)


def test_biases_equal_the_definition_and_see_nothing_at_or_after_t() -> None:
    data = corpus(240)
    rows = np.arange(20, 240, 9)
    found = stars.StarModel(data, 3.0).predict(rows)
    np.testing.assert_allclose(found, [plain_bias(data, 3.0, int(r)) for r in rows], rtol=1e-5)


def test_profiles_are_means_of_earlier_texts() -> None:
    data = corpus(120)
    vectors = np.random.default_rng(1).normal(size=(120, 4)).astype(np.float32)
    vectors[::7] = 0  # no text
    profiles = Profiles(data, data.user, data.n_users, vectors)
    found, count = profiles.at(data.user, data.time)
    put_back, more = profiles.at(data.user, data.time, np.arange(120))
    for r in range(120):
        before = np.flatnonzero((data.user == data.user[r]) & (data.time < data.time[r]) & vectors.any(axis=1))
        expected = vectors[before].mean(axis=0) if len(before) else np.zeros(4)
        np.testing.assert_allclose(found[r], expected, atol=1e-6)
        assert count[r] == len(before)
        with_own = [*before, r] if vectors[r].any() else before
        np.testing.assert_allclose(put_back[r], vectors[with_own].mean(axis=0) if len(with_own) else 0, atol=1e-6)
        assert more[r] == len(with_own)


def test_factors_find_a_planted_interaction() -> None:
    rng = np.random.default_rng(3)
    user, item = rng.integers(40, size=4000), rng.integers(30, size=4000)
    given = 3 + 1.5 * np.where(user % 2 == item % 2, 1, -1) + rng.normal(0, 0.2, 4000)
    data = Interactions.from_arrays(
        [f"u{u:02}" for u in user], [f"i{i:02}" for i in item], np.arange(4000) * DAY_MS, given.astype(np.float32)
    )
    split = protocols.temporal(data, 3000 * DAY_MS, 3500 * DAY_MS)
    models = stars.star_models(data, stars.StarRows.of(split), None, 7)
    rmse = {m.name: float(np.sqrt(np.mean((m.predicted - data.stars[3500:]) ** 2))) for m in models}
    assert rmse["bias"] > 1.2 and rmse["matrix_factorization"] < 0.4


def test_the_leak_gap_is_large_where_the_review_tells_the_stars_and_nil_where_it_says_nothing() -> None:
    data = corpus(6000, seed=4, each=2)
    telling = np.random.default_rng(0).normal(0, 0.1, (6000, 3)).astype(np.float32)
    silent = telling.copy()
    telling[:, 0] += (data.stars - 3) * (np.random.default_rng(1).random(6000) < 0.9)
    cut = np.quantile(data.time, [0.8, 0.9])
    rows = stars.StarRows.of(protocols.temporal(data, *cut.tolist()))
    config = EvaluationConfig(bootstrap=200)
    settings = {"damping": 3.0, "ridge": 10.0}
    gaps = {g.put_back: g for g in leak.star_gaps(data, rows, telling, settings, config, 7)}
    found = gaps["both"].gap
    assert found is not None and found.high is not None and found.high < 0
    assert all(g.leaked.value < g.clean.value for g in gaps.values())
    for quiet in leak.star_gaps(data, rows, silent, settings, config, 7):
        assert quiet.gap is not None and quiet.gap.value == pytest.approx(0, abs=0.02)
