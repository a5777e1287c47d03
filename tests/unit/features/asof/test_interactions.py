"""Events as arrays, and what is known before a moment, against a plain filter over all events."""

import numpy as np
from factories.events import DOZEN, by_day
from factories.features import World
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.features.asof.interactions import END, AsOf, Interactions
from llmrec.schema import DAY_MS


def test_equal_times_are_unseen_and_histories_are_sets_before_t() -> None:
    data = by_day(DOZEN)
    as_of = AsOf(data, np.arange(len(data)))
    ann, bob = data.user_ids.index("ann"), data.user_ids.index("bob")
    users, times = np.array([ann, ann, ann, bob]), np.array([1, 2, 6, 4]) * DAY_MS
    found = [sorted(data.item_ids[i] for i in row.indices) for row in as_of.histories(users, times)]
    assert found == [[], ["a"], ["a", "b", "c"], ["a"]]


def test_popularity_counts_events_before_t_and_decays_by_age() -> None:
    data = by_day(DOZEN)
    as_of = AsOf(data, np.arange(len(data)))
    counts = as_of.popularity(np.array([4, 1, 2]) * DAY_MS)
    assert counts.tolist() == [[0, 2, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]]  # row 0 is no item
    decayed = as_of.popularity(np.array([4]) * DAY_MS, decay_days=2.0)
    np.testing.assert_allclose(decayed[0], [0, np.exp(-3 / 2) + np.exp(-1), np.exp(-1), 0, 0], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=40),
       st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=10))  # fmt: skip
def test_as_of_equals_a_filter_over_all_events(
    events: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    data = by_day([(f"u{u}", f"i{i}", t) for u, i, t in events])
    as_of = AsOf(data, np.arange(len(data)))
    known = [(u, t) for u, t in asked if f"u{u}" in data.user_ids] or [(events[0][0], 3)]
    users = np.array([data.user_ids.index(f"u{u}") for u, _ in known])
    times = np.array([t for _, t in known]) * DAY_MS
    histories, popularity = as_of.histories(users, times).toarray() > 0, as_of.popularity(times)
    for q, (u, t) in enumerate(zip(users, times, strict=True)):
        before = data.time < t
        expected = np.zeros(data.n_items, bool)
        expected[data.item[before & (data.user == u)]] = True
        assert (histories[q] == expected).all()
        assert (popularity[q] == np.bincount(data.item[before], minlength=data.n_items)).all()


def test_row_0_is_unknown_and_has_no_event() -> None:
    data = by_day(DOZEN, available_from={"new": 4 * DAY_MS})
    assert (data.user_ids[0], data.item_ids[0]) == ("", "") and data.user.min() == data.item.min() == 1
    assert data.known_from[0] == END and data.known_from[data.item_ids.index("new")] == 4 * DAY_MS
    assert data.matrix(np.arange(len(data)))[0].nnz == 0 and data.matrix(np.arange(len(data)))[:, [0]].nnz == 0
    nobody = AsOf(data).histories(np.array([0]), np.array([END]))
    assert nobody.shape == (1, data.n_items) and nobody.nnz == 0


def test_a_historys_events_are_those_of_the_corpus() -> None:
    """Row for row: what a bundle holds is what the evaluation would read from the corpus's tables."""
    world = World.random()
    mine, theirs = Interactions.of_history(world.prepare().history), Interactions.from_tables(*world.tables())
    assert (list(mine.user_ids), list(mine.item_ids)) == (list(theirs.user_ids), list(theirs.item_ids))
    for column in ("user", "item", "time", "stars", "known_from"):
        np.testing.assert_array_equal(getattr(mine, column), getattr(theirs, column), err_msg=column)


def test_an_item_that_came_again_is_had_once_and_last_when_it_came_last() -> None:
    """Repeated plays: histories stay 0/1, in order of the last time, and the matrix counts a pair once."""
    data = Interactions.from_arrays(["u"] * 4, ["a", "b", "a", "c"], np.array([1, 2, 3, 4]))
    found = AsOf(data).histories(np.array([1, 1, 1]), np.array([3, 4, 9]))
    names = [[data.item_ids[i] for i in found.indices[found.indptr[q] : found.indptr[q + 1]]] for q in range(3)]
    assert names == [["a", "b"], ["b", "a"], ["b", "a", "c"]]
    assert (found.data == 1).all() and data.matrix(np.arange(4)).sum() == 3
