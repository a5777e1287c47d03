"""Raters in the tables of likes and stars: which rows, tuned where, compared with whom."""

from types import SimpleNamespace as Stub
from typing import Any

import numpy as np
import pytest
from factories.events import N_RATED as N
from factories.events import planted_ratings

from llmrec.catalogue import model_class
from llmrec.config import EvaluationConfig
from llmrec.evaluation.data import protocols
from llmrec.evaluation.labels import raters
from llmrec.evaluation.labels.raters import LIKES, STARS, RatedModel, RatedRows, rate
from llmrec.evaluation.labels.tables import Predicted


@pytest.fixture(scope="module")
def rows() -> RatedRows:
    data, vectors = planted_ratings()
    return RatedRows.of(protocols.temporal(data, N * 600, N * 800), vectors, 7)


@pytest.fixture(scope="module")
def likes(rows: RatedRows) -> list[RatedModel]:
    return rate(rows, LIKES)


def test_rows_have_stars_and_are_apart_by_time(rows: RatedRows) -> None:
    time, given = rows.data.time, np.isfinite(rows.data.stars)
    for part, low, high in (
        (rows.fit, 0, 600),
        (rows.validation, 600, 800),
        (rows.train, 0, 800),
        (rows.test, 800, N),
    ):
        np.testing.assert_array_equal(np.sort(part), np.flatnonzero(given & (time >= N * low) & (time < N * high)))
    asked = rows.likes
    np.testing.assert_array_equal(asked.label, rows.data.stars[rows.test] >= 4)
    np.testing.assert_array_equal(asked.user, rows.data.user[rows.test])
    assert rows.has_both_likes


def test_settings_are_chosen_on_the_validation_rows(rows: RatedRows, likes: list[RatedModel]) -> None:
    assert [m.name for m in likes] == list(LIKES)
    label = rows.data.stars[rows.validation] >= 4
    losses = {}
    for damping in (1.0, 3.0, 10.0, 30.0):
        model = rows.fitted("rates", {"damping": damping}, rows.fit)
        losses[damping] = np.mean((rows.asked(model, rows.validation) - label) ** 2)
    assert likes[0].settings == {"damping": min(losses, key=losses.__getitem__)} and likes[0].trials == 4
    assert all(m.settings["damping"] == likes[0].settings["damping"] and "ridge" in m.settings for m in likes[1:])


def test_where_there_is_none_of_ours_each_stands_against_the_rates(rows: RatedRows, likes: list[RatedModel]) -> None:
    table = raters.like_table(rows.likes, raters.as_predicted(likes), EvaluationConfig(bootstrap=200), 7, 4)
    auc = {m.name: m.metrics["auc"].value for m in table.models}
    assert auc["rates"] > 0.6 and auc["rates_text"] > auc["rates"] + 0.05
    assert {(c.model, c.against) for c in table.comparisons} == {("text_logistic", "rates"), ("rates_text", "rates")}
    better = next(c for c in table.comparisons if (c.model, c.metric) == ("rates_text", "auc"))
    assert better.verdict == "better" and table.label == "like"


def test_ours_is_set_against_each_other_model(rows: RatedRows, likes: list[RatedModel]) -> None:
    asked = rows.likes
    knows = np.where(asked.label, 0.8, 0.6)
    guess = np.random.default_rng(0).random(len(asked.label))
    ours = [Predicted(n, "ours", n, "", [p]) for n, p in (("text", knows), ("no_text", guess))]
    table = raters.like_table(asked, [*ours, *raters.as_predicted(likes)], EvaluationConfig(bootstrap=100), 7, 4)
    assert {(c.model, c.against) for c in table.comparisons} == {("text", n) for n in ("no_text", *LIKES)}
    assert {c.verdict for c in table.comparisons if c.metric == "auc"} == {"better"}


def test_stars_are_set_against_the_bias_and_text_needs_vectors(rows: RatedRows) -> None:
    without = RatedRows(rows.data, rows.as_of, None, 7, rows.fit, rows.validation, rows.train, rows.test)
    assert [m.name for m in rate(without, STARS)] == ["bias", "matrix_factorization"]
    models = rate(rows, STARS)
    table = raters.star_table(rows, models, EvaluationConfig(bootstrap=100), 7)
    assert [m.name for m in table.models] == list(STARS) and table.n_rows == len(rows.test)
    for m in models:
        rmse = np.sqrt(np.mean((m.predicted - rows.data.stars[rows.test]) ** 2))
        assert next(t for t in table.models if t.name == m.name).metrics["rmse"].value == pytest.approx(rmse)
    assert {(c.model, c.against) for c in table.comparisons} == {(n, "bias") for n in STARS[1:]}
    text = next(c for c in table.comparisons if c.model == "bias_text")
    assert text.difference.value < 0 and text.verdict == "better"


def test_our_raters_are_set_against_the_bias_over_their_seeds(rows: RatedRows) -> None:
    models, stars = rate(rows, STARS[:2]), rows.data.stars[rows.test].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.5, (2, len(stars)))
    ours = [Predicted("boosted_text", "ours", "Ours", "", [stars + noise[0], stars + noise[1]])]
    table = raters.star_table(rows, models, EvaluationConfig(bootstrap=100), 7, ours)
    assert [m.name for m in table.models] == ["boosted_text", *STARS[:2]] and table.models[0].seeds == 2
    wanted = np.mean(np.sqrt((noise**2).mean(axis=1)))
    assert table.models[0].metrics["rmse"].value == pytest.approx(wanted)
    mine = {(c.against, c.metric): c.verdict for c in table.comparisons if c.model == "boosted_text"}
    assert mine == {("bias", "rmse"): "better", ("bias", "mae"): "better"}


def test_our_raters_are_those_of_the_bundles_that_read_features(rows: RatedRows) -> None:
    def bundle(name: str, seed: int) -> Any:
        info = Stub(reads="features", output="stars", title="Ours", description="d")
        ours = Stub(INFO=info, predict=lambda users, items, times: users * 0.0 + seed)
        raters = {"network": ours, "bias": model_class("rater", "bias"), "rates": model_class("rater", "rates")}
        return Stub(name=name, bundle=Stub(models=Stub(raters=raters)))

    found = raters.our_stars([bundle("text", 7), bundle("text", 8), bundle("no_text", 7)], rows)
    assert [(p.name, p.kind, p.label) for p in found] == [
        ("network_text", "ours", "Ours, with text"), ("network_no_text", "ours", "Ours, without text"),
    ]  # fmt: skip
    assert [float(s[0]) for s in found[0].by_seed] == [7, 8] and len(found[0].by_seed[0]) == len(rows.test)
