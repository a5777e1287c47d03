"""Baselines that fight back: popularity by time at risk, and what knows nothing of a launch united with popularity."""

import numpy as np
import pytest
from scipy.stats import rankdata

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.ranking.baselines import WithFallback, _places, _places_of, fit_data, make
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.evaluation.ranking.roster import baseline_models
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.models.base import Requests
from llmrec.schema import DAY_MS


def test_time_at_risk_by_hand() -> None:
    """Old: 8 events, the last 10 days before; launch: 2 events in the 2 days for which it has been known."""
    old, launch = ["old"] * 8, ["launch"] * 2
    days = [0, 10, 20, 30, 40, 50, 60, 90, 98, 99]
    data = Interactions.from_arrays([f"u{k}" for k in range(10)], [*old, *launch], np.array(days) * DAY_MS)
    now = np.array([100 * DAY_MS])
    model = make("time_at_risk", {"decay_days": 30.0})
    found = model.scores(Requests(np.array([0]), now, AsOf(data)))[0]
    for name, item_days in (("old", days[:8]), ("launch", days[8:])):
        decayed = sum(np.exp(-(100 - d) / 30) for d in item_days)
        at_risk = 30 * (1 - np.exp(-(100 - item_days[0]) / 30))
        expected = np.log((decayed + 0.5) / (at_risk + 3))
        assert found[data.item_ids.index(name)] == pytest.approx(expected, rel=1e-5)
    assert found[data.item_ids.index("launch")] > found[data.item_ids.index("old")]


@pytest.fixture(scope="module")
def launched() -> Split:
    """After T2 everybody takes the launch, which training never saw."""
    rng = np.random.default_rng(0)
    before = [(f"u{k % 30:02}", f"i{rng.integers(12):02}", k) for k in range(240)]
    before = list({(u, i): (u, i, t) for u, i, t in before}.values())
    users, items, days = map(list, zip(*before, *((f"u{k:02}", "launch", 300 + k) for k in range(20)), strict=True))
    data = Interactions.from_arrays(users, items, np.array(days) * DAY_MS)
    return protocols.temporal(data, 180 * DAY_MS, 300 * DAY_MS)


@pytest.mark.parametrize("name", ["item_knn", "ease", "ials"])
def test_a_launch_is_found_where_the_model_is_united_with_popularity(launched: Split, name: str) -> None:
    fold, model = launched.test, make(name, {"factors": 4} if name == "ials" else {})
    model.fit(fit_data(fold, None, 7))
    trained = np.bincount(fold.data.item[fold.train], minlength=fold.data.n_items) > 0
    launch = fold.data.item_ids.index("launch")
    alone, united = (lists_of(WithFallback(model, 14.0, t), fold, 2).item_rows for t in (None, trained))
    late = fold.queries.time > 305 * DAY_MS  # popular by then
    assert (united[late] == launch).any(axis=1).all() and not (alone[late] == launch).any(axis=1).all()


def test_what_training_knows_keeps_its_order(launched: Split) -> None:
    fold, model = launched.test, make("ease", {})
    model.fit(fit_data(fold, None, 7))
    trained = np.bincount(fold.data.item[fold.train], minlength=fold.data.n_items) > 0
    every = fold.data.n_items
    alone, united = (lists_of(WithFallback(model, 14.0, t), fold, every).item_rows for t in (None, trained))
    launch = fold.data.item_ids.index("launch")
    for a, b in zip(alone, united, strict=True):
        assert [i for i in a if i not in (launch, -1)] == [i for i in b if i not in (launch, -1)]


def test_united_baselines_stand_in_tables_of_the_clock_alone(launched: Split) -> None:
    config = EvaluationConfig(
        baselines=("ease", "time_at_risk"), tuning_trials=1, cutoffs=(2,), primary_metric="ndcg@2"
    )
    names = [m.answers[0].name for m in baseline_models(launched, config, lambda _: None)]
    assert names == ["recent_popularity", "ease", "ease_united", "time_at_risk"]
    other = protocols.leave_last_out(launched.test.data)
    assert [m.answers[0].name for m in baseline_models(other, config, lambda _: None)] == ["ease"]


def test_places_are_mean_ranks_of_all_columns_or_of_some() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (7, 40)).astype(np.float32)  # many ties
    scores[0] = 0
    columns = np.array([3, 0, 39, 7])
    scores[1, :9] = -np.inf
    expected = rankdata(-scores, axis=1)
    np.testing.assert_array_equal(_places(scores), expected)
    np.testing.assert_array_equal(_places_of(scores, columns), expected[:, columns])
