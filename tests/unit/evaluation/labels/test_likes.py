"""Likes and the click table's baselines on planted events: right labels, what is found, and nothing seen too early."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from llmrec.evaluation.labels.click_rivals import RIVALS, ClickData, click_rivals
from llmrec.evaluation.labels.clicks import ClickRows, Predicted
from llmrec.evaluation.labels.like_ranker import LikeRows, fit_likes, platt
from llmrec.evaluation.labels.stars import StarRows
from llmrec.models.modelfile import ModelFile, ScoreBlenderFile
from sklearn.metrics import roc_auc_score

from llmrec.config import EvaluationConfig, RankerConfig, TwoTowerConfig
from llmrec.evaluation.data import protocols
from llmrec.evaluation.labels import likes
from llmrec.features.asof.interactions import Interactions
from llmrec.features.dataset.rows import Examples

N, USERS, ITEMS, DIM = 3_000, 60, 50, 6


@pytest.fixture(scope="module")
def world() -> tuple[Interactions, np.ndarray]:
    """Half of the users like nearly everything; what the rest like is in the sign of their text times the item's."""
    rng = np.random.default_rng(3)
    user, item = rng.integers(USERS, size=N), rng.integers(ITEMS, size=N)
    taste, kind = rng.choice([-1, 1], USERS), rng.choice([-1, 1], ITEMS)
    agrees = taste[user] * kind[item] > 0
    liked = np.where(user % 2 == 0, rng.random(N) < 0.9, rng.random(N) < np.where(agrees, 0.85, 0.15))
    stars = np.where(liked, rng.choice([4.0, 5.0], N), rng.choice([1.0, 3.5], N)).astype(np.float32)
    stars[rng.random(N) < 0.1] = np.nan
    data = Interactions.from_arrays(
        [f"u{u:02d}" for u in user], [f"i{i:02d}" for i in item], np.arange(N) * 1_000, stars
    )
    vectors = rng.normal(0, 0.3, (N, DIM)).astype(np.float32)
    vectors[:, 0] += taste[data.user]  # in order of events, as `data` is
    vectors[:, 1] += kind[data.item]
    return data, vectors


def split_rows(data: Interactions) -> StarRows:
    return StarRows.of(protocols.temporal(data, N * 600, N * 800))


def test_a_like_is_four_stars_and_more(world: tuple[Interactions, np.ndarray]) -> None:
    data, _ = world
    found = likes.liked(data)
    given = np.isfinite(data.stars)
    assert set(found.stars[given]) == {0.0, 1.0} and np.isnan(found.stars[~given]).all()
    assert set(data.stars[found.stars == 1]) == {4.0, 5.0} and set(data.stars[found.stars == 0]) == {1.0, 3.5}
    rows = split_rows(found)
    asked = likes.like_rows(found, rows)
    assert len(asked) == given[data.time >= N * 800].sum() and asked.time.min() >= N * 800


def predictions(data: Interactions, vectors: np.ndarray) -> dict[str, Predicted]:
    found = likes.liked(data)
    return {p.name: p for p in likes.like_models(found, split_rows(found), vectors, 7)}


def test_rates_find_who_likes_everything_and_text_what_the_others_like(world: tuple[Interactions, np.ndarray]) -> None:
    data, vectors = world
    found = likes.liked(data)
    asked = likes.like_rows(found, split_rows(found))
    models = list(predictions(data, vectors).values())
    table = likes.like_table(asked, models, EvaluationConfig(bootstrap=200), 7)
    auc = {m.name: m.metrics["auc"].value for m in table.models}
    assert auc["rates"] > 0.6 and auc["rates_text"] > auc["rates"] + 0.05
    assert {(c.model, c.against) for c in table.comparisons} == {("text_logistic", "rates"), ("rates_text", "rates")}
    better = next(c for c in table.comparisons if (c.model, c.metric) == ("rates_text", "auc"))
    assert better.verdict == "better" and table.label == "like"


def test_no_prediction_of_a_like_sees_its_own_or_a_later_review(world: tuple[Interactions, np.ndarray]) -> None:
    data, vectors = world
    rows = split_rows(likes.liked(data))
    changed = rows.test[len(rows.test) // 2]
    stars, control_embeddings = data.stars.copy(), vectors.copy()
    control_embeddings[changed] = 50
    stars[changed] = 1.0 if data.stars[changed] >= 4 else 5.0
    place = int(np.flatnonzero(rows.test == changed)[0])
    after = predictions(replace(data, stars=stars), control_embeddings)
    later = 0
    for name, before in predictions(data, vectors).items():
        np.testing.assert_array_equal(before.probability[: place + 1], after[name].probability[: place + 1])
        later += int((before.probability[place + 1 :] != after[name].probability[place + 1 :]).sum())
    assert later > 0  # the positive control: those after it do see it


def described(n: int = 3_000, dim: int = 4) -> LikeRows:
    """Reviews with features: a user's and an item's first column agree in sign where the review is a like, mostly."""
    rng = np.random.default_rng(1)
    user, item = rng.normal(size=(2, n, dim)).astype(np.float32)
    click = rng.random(n) < np.where(user[:, 0] * item[:, 0] > 0, 0.9, 0.3)
    ids, index = np.full(n, "x", object), np.zeros(n, np.int64)
    rows = Examples(ids, ids, np.arange(n), click.astype(np.float32), index, index, np.zeros((n, 2), np.int64),
                    np.zeros((n, 2), np.float32), user, item, np.zeros((n, 1), np.float32))  # fmt: skip
    a, b, end = n * 2 // 5, n * 7 // 10, n
    return LikeRows(*(rows.take(slice(*p)) for p in ((0, a), (a, b), (0, b), (b, end))))


def network(dim: int = 4) -> ModelFile:
    ranker = RankerConfig(embedding_dim=2, hidden=(16,), batch_size=32, dropout=0, epochs=8, learning_rate=0.01)
    names = [str(n) for n in range(dim)]
    return ModelFile(
        variant="text", two_tower=TwoTowerConfig(), ranker=ranker, n_users=1, n_items=1, history_length=2,
        user_columns=names, item_columns=names, pair_columns=["0"], user_families={}, item_families={},
        blender=ScoreBlenderFile(weights={}, fallback=""),
    )  # fmt: skip


def test_our_network_learns_likes_is_calibrated_and_gives_the_same_again() -> None:
    rows = described()
    p, epochs = fit_likes(rows, network(), 7)
    label = rows.test.click > 0
    assert roc_auc_score(label, p) > 0.75 and abs(p.mean() - label.mean()) < 0.06 and 1 <= epochs <= 8
    np.testing.assert_array_equal(fit_likes(rows, network(), 7)[0], p)
    assert (fit_likes(rows, network(), 8)[0] != p).any()


def test_scaling_finds_slope_and_shift_and_never_turns_the_order() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000)
    label = (rng.random(len(logits)) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.float32)
    assert platt(logits, label) == pytest.approx((0.5, -1), abs=0.05)
    slope, shift = platt(-logits, label)
    assert slope > 0 and 1 / (1 + np.exp(-shift)) == pytest.approx(label.mean(), abs=0.02)


def test_our_network_never_sees_a_label_of_the_test() -> None:
    rows = described()
    flipped = replace(rows, test=replace(rows.test, click=1 - rows.test.click))
    np.testing.assert_array_equal(fit_likes(flipped, network(), 7)[0], fit_likes(rows, network(), 7)[0])
    other = replace(rows, validation=replace(rows.validation, click=1 - rows.validation.click))
    assert (fit_likes(other, network(), 7)[0] != fit_likes(rows, network(), 7)[0]).any()  # chosen and scaled there


def test_ours_is_set_against_each_other_model(world: tuple[Interactions, np.ndarray]) -> None:
    found = likes.liked(world[0])
    asked = likes.like_rows(found, split_rows(found))
    knows = np.where(asked.label, 0.8, 0.6)
    guess = np.random.default_rng(0).random(len(asked))
    ours = [Predicted(n, "ours", n, "", [p]) for n, p in (("text", knows), ("no_text", guess))]
    table = likes.like_table(asked, [*ours, *predictions(*world).values()], EvaluationConfig(bootstrap=100), 7)
    others = {"no_text", "rates", "text_logistic", "rates_text"}
    assert {(c.model, c.against) for c in table.comparisons} == {("text", n) for n in others}
    assert {c.verdict for c in table.comparisons if c.metric == "auc"} == {"better"}


def click_data(seed: int = 0, **changed: Any) -> ClickData:
    """Items' popularity differs by a factor; negatives are drawn evenly, so that popularity tells."""
    rng = np.random.default_rng(seed)
    item = rng.choice(ITEMS, N, p=np.arange(1, ITEMS + 1) / np.arange(1, ITEMS + 1).sum())
    user = rng.integers(USERS, size=N)
    data = Interactions.from_arrays([f"u{u:02d}" for u in user], [f"i{i:02d}" for i in item], np.arange(N) * 1_000)
    time = np.repeat(data.time, 2)
    shown = np.stack([data.item, rng.integers(ITEMS, size=N)], axis=1).ravel()
    rows = ClickRows(np.repeat(data.user, 2), shown, time, np.tile([True, False], N))
    parts = [rows.take((time >= a) & (time < b)) for a, b in ((0, N * 600), (N * 600, N * 800), (N * 800, N * 1000))]
    vectors = rng.normal(size=(N, DIM)).astype(np.float32)
    made = ClickData(data, None, *parts, vectors, 7)  # type: ignore[arg-type]
    return replace(made, **changed)


@pytest.mark.parametrize("name", ["popularity", "ncf", "text_logistic"])
def test_click_baselines_learn_before_t2_alone(name: str) -> None:
    rows = click_data()
    found = click_rivals(rows, {name})[0]
    assert len(found.probability) == len(rows.test) and found.name == name
    flipped = replace(rows, test=replace(rows.test, label=~rows.test.label))
    np.testing.assert_array_equal(click_rivals(flipped, {name})[0].probability, found.probability)
    other = replace(rows, validation=replace(rows.validation, label=~rows.validation.label))
    assert (click_rivals(other, {name})[0].probability != found.probability).any()


@pytest.mark.parametrize("name", ["popularity", "ncf"])
def test_what_is_popular_is_clicked(name: str) -> None:
    rows = click_data()
    p, label = click_rivals(rows, {name})[0].probability, rows.test.label
    assert p[label].mean() > p[~label].mean() + 0.03
    assert abs(p.mean() - 0.5) < 0.05  # calibrated


def test_popularity_counts_events_before_the_row_alone() -> None:
    rows = click_data()
    later = rows.data.time >= rows.test.time[40]
    moved = replace(rows.data, item=np.where(later, 0, rows.data.item))
    found, changed = (click_rivals(r, {"popularity"})[0].probability for r in (rows, replace(rows, data=moved)))
    np.testing.assert_array_equal(found[:42], changed[:42])
    assert (found[42:] != changed[42:]).any()


def test_baselines_are_those_asked_for_and_without_vectors_none_on_text() -> None:
    rows = click_data(vectors=None)
    assert [p.name for p in click_rivals(rows, {"text_logistic", "boosted_text", "popularity", "ease"})] == [
        "popularity"
    ]
    assert {"popularity", "ncf", "boosted", "boosted_text", "text_logistic"} == set(RIVALS)


def test_rows_of_one_label_have_no_baselines() -> None:
    rows = click_data()
    nothing = replace(rows, validation=replace(rows.validation, label=np.zeros(len(rows.validation), bool)))
    assert click_rivals(nothing, {"popularity"}) == []
