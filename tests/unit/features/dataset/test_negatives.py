"""Negatives: allowed, distinct, by popularity, and the same whatever is computed with them."""

import numpy as np
import pytest
from factories.features import START, World

from llmrec.features.asof.history import History
from llmrec.features.dataset.negatives import NegativeSampler
from llmrec.schema import DAY_MS


@pytest.fixture(scope="module")
def history() -> History:
    return World.random().prepare().history


def draw(history: History, n: int, events: np.ndarray | None = None, seed: int = 7) -> np.ndarray:
    data = history.data
    chosen = np.arange(len(data.times)) if events is None else events
    sampler = NegativeSampler.of(history, seed)
    return sampler.sample(data.user_rows[chosen], data.times[chosen], data.event_order[chosen], n)


def test_negatives_are_known_new_to_the_user_and_distinct(history: History) -> None:
    data, short = history.data, 0
    for e, negatives in enumerate(draw(history, 6)):
        drawn = negatives[negatives > 0]
        had = data.item_rows[(data.user_rows == data.user_rows[e]) & (data.times <= data.times[e])]
        allowed = np.setdiff1d(np.flatnonzero(history.known_items(int(data.times[e]))), had)
        assert len(set(drawn)) == len(drawn) == min(6, len(allowed))
        assert np.isin(drawn, allowed).all()
        short += len(drawn) < 6
    assert short > 0, "the world never runs out of items: shortage is not tested"


def test_a_draw_does_not_depend_on_its_batch_but_on_the_seed(history: History) -> None:
    whole = draw(history, 4)
    some = np.array([200, 3, 77])
    np.testing.assert_array_equal(draw(history, 4, some), whole[some])
    assert (draw(history, 4, seed=8) != whole).any()


def test_popular_items_are_drawn_in_proportion(history: History) -> None:
    sampler = NegativeSampler.of(history, 1)
    data, n, time = history.data, 30_000, START + 89 * DAY_MS
    stream = np.random.default_rng(0).integers(0, 2**63, n).astype(np.uint64)
    drawn = sampler.sample(np.zeros(n, np.int64), np.full(n, time), stream, 1)[:, 0]
    before = data.item_rows[data.times < time]
    weight = np.bincount(before, minlength=len(history.item_ids)) + history.known_items(time)
    share = np.bincount(drawn, minlength=len(weight)) / n
    np.testing.assert_allclose(share, weight / weight.sum(), atol=0.01)


def test_no_known_items_give_no_negatives(history: History) -> None:
    sampler = NegativeSampler.of(history, 1)
    drawn = sampler.sample(np.array([1]), np.array([START - 1]), np.array([5], np.uint64), 3)
    assert drawn.tolist() == [[0, 0, 0]]
