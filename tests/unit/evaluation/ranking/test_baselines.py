"""Which retrievers are set beside ours, how their settings are chosen, and what answers where they know nothing."""

from typing import Any

import numpy as np
import pytest

from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Fold, Queries, Split
from llmrec.evaluation.ranking import baselines
from llmrec.evaluation.ranking.baselines import (
    WithFallback,
    baseline_names,
    fit_data,
    grid,
    make,
    quality,
    trials,
    tune,
)
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.features.asof.interactions import END, Interactions
from llmrec.models.base import Retriever
from llmrec.schema import DAY_MS


@pytest.fixture(scope="module")
def split() -> Split:
    """Taste is the item's parity; popularity drifts; one user, `late`, is new at the end."""
    rng = np.random.default_rng(0)
    events = [(f"u{u:02}", f"i{i:02}") for u in range(20) for i in rng.permutation(20) if (u + i) % 2 == 0]
    users, items = ([events[k][n] for k in rng.permutation(len(events))] for n in (0, 1))
    data = Interactions.from_arrays([*users, "late"], [*items, "i03"], np.arange(len(events) + 1) * DAY_MS)
    return protocols.temporal(data, 120 * DAY_MS, 150 * DAY_MS)


def fitted(name: str, settings: dict[str, Any], fold: Fold) -> Retriever:
    model = make(name, settings)
    model.fit(fit_data(fold, None, 7))
    return model


def test_without_history_recent_popularity_answers(split: Split) -> None:
    fold = split.test
    late = fold.queries.user == fold.data.user_ids.index("late")
    assert late.sum() == 1
    ease, recent = fitted("ease", {"regularization": 5}, fold), fitted("recent_popularity", {"decay_days": 30}, fold)
    alone, popular = lists_of(WithFallback(recent), fold, 5), lists_of(WithFallback(ease, 30.0), fold, 5)
    np.testing.assert_array_equal(popular.item_rows[late], alone.item_rows[late])
    np.testing.assert_array_equal(popular.scores[late], alone.scores[late])
    unaided = lists_of(WithFallback(ease), fold, 5)
    assert (unaided.scores[late] == 0).all()  # in the order of the tie hash
    np.testing.assert_array_equal(popular.item_rows[~late], unaided.item_rows[~late])
    assert (popular.item_rows[~late] != alone.item_rows[~late]).any()


def test_a_fallback_never_answers_for_who_answers_all(split: Split) -> None:
    boosted = fitted("boosted", {}, split.test)
    with_fallback, alone = (lists_of(WithFallback(boosted, days), split.test, 5) for days in (30.0, None))
    np.testing.assert_array_equal(with_fallback.scores, alone.scores)


@pytest.mark.parametrize("name", ["popularity", "item_knn", "ease", "ials", "bpr"])
def test_lists_hold_candidates_alone(split: Split, name: str) -> None:
    """Neither what the user had, nor what is not known yet, nor row 0; and everything else, if there is place."""
    fold = split.test
    data, q = fold.data, fold.queries
    top = lists_of(WithFallback(fitted(name, {}, fold), 30.0), fold, data.n_items)
    for rows, user, time in zip(top.item_rows, q.user, q.time, strict=True):
        had = set(data.item[(data.user == user) & (data.time < time)].tolist())
        known = {i for i in range(1, data.n_items) if data.known_from[i] < time}
        assert set(rows[rows >= 0].tolist()) == known - had


def test_transductive_lists_hold_all_items_but_row_0() -> None:
    data = Interactions.from_arrays(["a", "a", "b"], ["x", "y", "x"], np.arange(3) * DAY_MS)
    train = np.array([0, 2])
    asked = Queries(np.array([1]), np.array([END]), np.array([0, 1]), np.array([2]), np.array([1]))
    fold = Fold(data, "transductive", train, train, asked, False)
    found = lists_of(WithFallback(fitted("popularity", {}, fold)), fold, 3)
    assert found.item_rows.tolist() == [[2, -1, -1]]


def test_blocks_change_nothing(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    model = WithFallback(fitted("ease", {"regularization": 5}, split.test), 30.0)
    whole = lists_of(model, split.test, 5)
    monkeypatch.setattr(baselines, "MOST_QUERIES", 7)
    assert len(model.parts(split.test)) > 5
    parts = lists_of(model, split.test, 5)
    np.testing.assert_array_equal(parts.item_rows, whole.item_rows)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-6)


def test_tuning_chooses_on_validation_and_states_its_budget(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(baselines.GRIDS, "recent_popularity", grid(decay_days=(1.0, 10.0, 100.0, 1000.0)))  # type: ignore[arg-type]
    tuned = tune("recent_popularity", split, "ndcg@10", budget=3, fallback_days=None)
    tried = [s["decay_days"] for s, _ in tuned.scores]
    assert tried == [1.0, 100.0, 1000.0]
    for settings, score in tuned.scores:
        top = lists_of(
            WithFallback(fitted("recent_popularity", dict(settings), split.validation)), split.validation, 10
        )
        assert score == quality(top, split.validation, "ndcg@10")
    assert dict(tuned.settings) == max(tuned.scores, key=lambda pair: pair[1])[0]
    assert tuned.model.config.decay_days == tuned.settings["decay_days"] and tuned.fit_seconds > 0


def test_what_has_no_grid_is_fitted_as_it_comes(split: Split) -> None:
    tuned = tune("popularity", split, "ndcg@10", budget=8, fallback_days=None)
    assert (tuned.settings, tuned.scores) == ({}, [])


def test_a_budget_is_spread_over_the_grid() -> None:
    settings = grid(a=(1, 2), b=(3, 4, 5))
    assert settings[:2] == [{"a": 1, "b": 3}, {"a": 1, "b": 4}] and len(settings) == 6
    assert trials(settings, 1) == settings[:1] and trials(settings, 9) == settings
    assert trials(settings, 2) == [settings[0], settings[-1]]


@pytest.mark.parametrize("name", baselines.GRIDS)
def test_every_setting_of_a_grid_is_one_of_the_model(name: str) -> None:
    made = [make(name, settings).config for settings in baselines.GRIDS[name]]
    assert len({str(config) for config in made}) == len(made)


def test_baselines_are_those_asked_for_and_without_vectors_none_on_text() -> None:
    assert baseline_names("quick", ("ease",), True) == ["recent_popularity", "ease"]
    assert baseline_names("quick", (), True) == ["recent_popularity"]
    assert baseline_names("quick", None, True) == [
        "recent_popularity", "popularity", "time_at_risk", "item_knn", "ease", "ials"
    ]  # fmt: skip
    on_text = {"boosted_text", "text_logistic", "text_factorization"}
    full, without = (set(baseline_names("full", None, has_text)) for has_text in (True, False))
    assert full - without == on_text and "two_tower" not in full
    assert baseline_names("quick", ("text_logistic", "dcnv2", "ncf"), False) == ["recent_popularity", "ncf"]


def test_what_each_decay_gives_on_the_test_is_kept_and_chooses_nothing(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = tune("recent_popularity", split, "ndcg@10", budget=8, fallback_days=None)
    assert [s.settings for s in tuned.sensitivity] == [settings for settings, _ in tuned.scores]
    assert [s.validation for s in tuned.sensitivity] == [score for _, score in tuned.scores]
    chosen = next(s for s in tuned.sensitivity if s.settings == tuned.settings)
    assert chosen.validation == max(score for _, score in tuned.scores)
    assert chosen.test == quality(lists_of(WithFallback(tuned.model), split.test, 10), split.test, "ndcg@10")
    assert len({s.test for s in tuned.sensitivity}) > 1
    monkeypatch.setattr(baselines, "_SENSITIVITY_QUERIES", 7)
    seven = tune("recent_popularity", split, "ndcg@10", budget=8, fallback_days=None).sensitivity
    assert [s.validation for s in seven] == [s.validation for s in tuned.sensitivity] and seven != tuned.sensitivity
    assert tune("ease", split, "ndcg@10", budget=8, fallback_days=None).sensitivity == []
