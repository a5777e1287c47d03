"""The list-wise ranker: what its lists hold, what it learns, and that products of texts are among it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.features import World
from factories.training import Folds, folds, rows_of

from llmrec.models.base import ModelContext
from llmrec.models.linear import fit_weights, log_likelihood, scaled_logit
from llmrec.models.rankers.listwise.lists import ListQueries, _drawn, list_rows, sampled_lists
from llmrec.models.rankers.listwise.ranker import ListwiseConfig, ListwiseRanker
from llmrec.training.fit import load_context


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("listwise"), World.random())


@pytest.fixture(scope="module")
def context(made: Folds) -> ModelContext:
    return load_context(made.validation, "text")


def test_lists_hold_what_could_have_been_recommended_at_the_time(made: Folds, context: ModelContext) -> None:
    asked = ListQueries.of(rows_of(made, context), context, 30)
    lists, data = sampled_lists(context, asked, 6, seed=0), context.interactions
    assert len(lists.rows) == 30 and (asked.times < context.spec.cutoff).all()
    for user, time, rows, offsets in zip(asked.users, asked.times, lists.rows, lists.offsets, strict=True):
        some = rows[rows >= 0]
        assert len(set(some.tolist())) == len(some) > 3
        assert (data.known_from[some] < time).all()
        had = data.item[(data.user == user) & (data.time < time)]
        assert not np.isin(some, had).any()
        known = np.flatnonzero(data.known_from < time)
        n_allowed = len(np.setdiff1d(known, had))
        assert np.exp(offsets[rows >= 0]).sum() == pytest.approx(n_allowed)  # together they stand for all candidates
    found = list_rows(context, asked, lists)
    hit = np.flatnonzero(data.known_from[asked.items] < asked.times)
    assert 20 < len(found.rows) == len(hit)  # a click that was no candidate would teach nothing
    for part, target, q in zip(found.rows, found.targets, hit, strict=True):
        assert part.item_idx[target] == context.spec.item_idx(asked.items[[q]])[0]


def test_weights_of_sampled_lists_are_those_of_all_candidates() -> None:
    """A few candidates, with what they stand for, find the weight that whole lists would; without it they do not."""
    rng = np.random.default_rng(0)
    values, targets, offsets = [], [], []
    for _ in range(3_000):
        x = rng.normal(size=60)
        p = np.exp(1.5 * x)
        taken = int(rng.choice(60, p=p / p.sum()))
        brought = np.argsort(-x)[:4]
        drawn, offset = _drawn(np.setdiff1d(np.arange(60), brought), taken, 4, rng)
        rows = np.concatenate([brought, drawn])
        values.append(x[rows][:, None])
        targets.append(int(np.flatnonzero(rows == taken)[0]))
        offsets.append(np.concatenate([np.zeros(4), np.full(4, offset)]))
    assert fit_weights(values, targets, np.zeros(1), 1e-3, offsets) == pytest.approx([1.5], abs=0.1)
    assert fit_weights(values, targets, np.zeros(1), 1e-3)[0] < 1.2


def test_only_training_clicks_are_learned_from(made: Folds, context: ModelContext) -> None:
    """Later rows, and the labels of later rows, change nothing."""
    rows = rows_of(made, context)
    first, second = (ListwiseRanker(ListwiseConfig(queries=40), context) for _ in range(2))
    first.fit(rows, None, 0)
    second.fit(replace(rows, pair=rows.pair + 1), None, 0)  # columns of lists are made as of their time, not read
    assert np.array_equal(first.state()["weights"], second.state()["weights"])


def test_products_of_both_profiles_are_read_where_there_are_words(made: Folds, context: ModelContext) -> None:
    model = ListwiseRanker(ListwiseConfig(), context)
    names = [column.name for column in context.dense]
    pairs = [(names[a], names[b]) for a, b in zip(model._mine, model._theirs, strict=True)]
    assert pairs == [(f"user_mean_{k}", f"item_mean_{k}") for k in range(context.spec.learned.text_dim)]
    without = ListwiseRanker(ListwiseConfig(), load_context(made.validation, "no_text"))
    assert not len(without._mine) and not any(c.family.startswith("text_") for c in without.context.dense)


def test_held_out_rows_choose_and_calibrate(made: Folds, context: ModelContext) -> None:
    rows, held_out = rows_of(made, context), rows_of(made, context, "validation")
    model = ListwiseRanker(ListwiseConfig(queries=60), context)
    chosen = model.fit(rows, held_out, 0)
    assert chosen["ridge"] in (100.0, 30.0, 10.0) and chosen["slope"] > 0
    probability = 1 / (1 + np.exp(-model.logits(held_out).astype(np.float64)))
    assert probability.mean() == pytest.approx(held_out.click.mean(), abs=0.01)
    again = ListwiseRanker(ListwiseConfig(queries=60, **chosen), context)
    assert again.fit(rows, None, 0) == chosen


def test_reviews_that_stand_alone_are_fitted_one_by_one(made: Folds, context: ModelContext) -> None:
    rows = rows_of(made, context)
    rows = replace(rows, query=np.arange(len(rows)), click=np.asarray(rows.pair[:, 0] > 0, np.float32))
    model = ListwiseRanker(ListwiseConfig(), context)
    model.fit(rows, None, 0)
    assert np.mean((model.logits(rows) > 0) == (rows.click > 0)) > 0.9


def test_a_planted_weight_is_found_and_a_column_alike_for_all_candidates_keeps_its_start() -> None:
    rng, values, targets = np.random.default_rng(0), [], []
    for _ in range(2_000):
        x = np.column_stack([rng.normal(size=20), np.full(20, rng.normal())])
        p = np.exp(1.5 * x[:, 0])
        values.append(x)
        targets.append(int(rng.choice(20, p=p / p.sum())))
    found = fit_weights(values, targets, np.array([0.0, 0.7]), 1.0)
    assert found == pytest.approx([1.5, 0.7], abs=0.1) and found[1] == 0.7
    assert log_likelihood(np.log([0.2, 0.3, 0.5]), 2) == pytest.approx(np.log(0.5))


def test_a_scaled_logit_takes_popularity_out() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(20_000, 2))
    label = (rng.random(20_000) < 1 / (1 + np.exp(-(2 * rows[:, 0] - 0.5 * rows[:, 1] - 1)))).astype(np.float32)
    assert scaled_logit(rows, label) == pytest.approx((2, -0.5, -1), abs=0.1)


def test_without_a_single_list_every_item_is_alike(made: Folds, context: ModelContext, tmp_path: Path) -> None:
    rows = rows_of(made, context)
    model = ListwiseRanker(ListwiseConfig(queries=1, candidates=2), context)
    model.fit(rows.take(np.flatnonzero(rows.query == rows.query[0])), None, 0)
    assert np.isfinite(model.logits(rows)).all()
