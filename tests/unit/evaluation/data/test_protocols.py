"""Protocols on a dozen events that fit in the head."""

import numpy as np
import pytest
from factories.events import DOZEN, by_day

from llmrec.evaluation.data import protocols
from llmrec.features.asof.interactions import END
from llmrec.schema import DAY_MS


def test_temporal_asks_every_event_from_t2_and_trains_strictly_before() -> None:
    data = by_day(DOZEN)
    split = protocols.temporal(data, 2 * DAY_MS, 4 * DAY_MS)
    assert data.time[split.validation.train].tolist() == [DAY_MS]
    assert (data.time[split.validation.queries.event] // DAY_MS).tolist() == [2, 2]
    assert (data.time[split.test.train] < 4 * DAY_MS).all() and len(split.test.train) == 3
    assert len(split.test.queries) == 4
    # c and d appear at their own query's time: nobody can have known them, d both times, c once
    assert split.test.missed() == 2
    known = split.test.candidates(slice(0, 4))
    assert known is not None and known.sum(axis=1).tolist() == [2, 2, 3, 3] and not known[:, 0].any()


def test_what_the_user_had_before_is_a_target_that_no_list_may_hold() -> None:
    data = by_day([*DOZEN, ("bob", "a", 6)])
    assert protocols.temporal(data, 2 * DAY_MS, 4 * DAY_MS).test.missed() == 2 + 1


def test_an_item_with_a_date_is_a_candidate_before_its_first_event() -> None:
    data = by_day(DOZEN, available_from={"d": 3 * DAY_MS, "new": 4 * DAY_MS})
    fold = protocols.temporal(data, 2 * DAY_MS, 4 * DAY_MS).test
    known = fold.candidates(slice(0, 4))
    assert known is not None
    at4 = {data.item_ids[i] for i in np.flatnonzero(known[0])}
    at5 = {data.item_ids[i] for i in np.flatnonzero(known[3])}
    assert (at4, at5) == ({"a", "b", "d"}, {"a", "b", "c", "d", "new"})


def test_frozen_asks_one_list_a_user_at_t2() -> None:
    data = by_day(DOZEN)
    q = protocols.frozen(data, 2 * DAY_MS, 4 * DAY_MS).test.queries
    asked = {
        data.user_ids[u]: {data.item_ids[i] for i in q.item[a:b]}
        for u, a, b in zip(q.user, q.indptr, q.indptr[1:], strict=False)
    }
    assert asked == {"ann": {"c"}, "bob": {"c"}, "cy": {"b", "d"}}
    assert set(q.time.tolist()) == {4 * DAY_MS}


def test_leave_last_out_takes_the_last_by_time_then_hash() -> None:
    data = by_day(DOZEN)
    split = protocols.leave_last_out(data)
    assert {data.item_ids[i] for i in split.test.queries.item} == {"c", "d"}
    assert split.test.information_set == "transductive" and (split.test.queries.time == END).all()
    assert len(split.test.train) == 4 and len(split.validation.train) == 3  # of ann's three events one is validation
    tied = by_day([("ann", "x", 1), ("ann", "y", 1), ("ann", "z", 1)])
    reversed_file = by_day([("ann", "z", 1), ("ann", "y", 1), ("ann", "x", 1)])
    last = [d.item_ids[protocols.leave_last_out(d).test.queries.item[0]] for d in (tied, reversed_file)]
    assert last[0] == last[1]


def test_random_split_holds_out_a_quarter_of_each_user() -> None:
    data = by_day([(f"u{u}", f"i{i}", i) for u in range(5) for i in range(4 + 4 * u)])
    split = protocols.random_split(data, seed=3)
    assert split.test.queries.n_relevant.tolist() == [1, 2, 3, 4, 5]
    assert not np.intersect1d(split.test.train, split.test.queries.event).size
    inner = np.concatenate([split.validation.train, split.validation.queries.event])
    np.testing.assert_array_equal(np.sort(inner), split.test.train)


def test_k_core_drops_until_all_have_k() -> None:
    data = by_day([("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("b", "y", 4), ("c", "y", 5), ("c", "z", 6)])
    kept = protocols.k_core(data, np.arange(6), 2)
    assert {(data.user_ids[data.user[r]], data.item_ids[data.item[r]]) for r in kept} == {
        ("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")
    }  # fmt: skip


def test_rolling_origins_refit_at_each_cut_and_never_ask_twice() -> None:
    data = by_day([(f"u{i % 7}", f"i{i % 5}", i) for i in range(100)])
    splits = protocols.rolling_origins(data, (0.5, 0.7, 0.9))
    asked = np.concatenate([s.test.queries.event for s in splits])
    assert len(asked) == len(set(asked.tolist())) == 30
    assert [len(s.test.train) for s in splits] == [70, 90]
    assert all(data.time[s.test.train].max() < data.time[s.test.queries.event].min() for s in splits)


def test_every_protocol_says_what_it_does() -> None:
    data = by_day(DOZEN)
    splits = [
        protocols.temporal(data, 2 * DAY_MS, 4 * DAY_MS), protocols.frozen(data, 2 * DAY_MS, 4 * DAY_MS),
        protocols.leave_last_out(data), protocols.random_split(data, 0),
    ]  # fmt: skip
    words = [(s.wording.description, s.wording.history, s.wording.refit, s.wording.candidates) for s in splits]
    assert all(len(w) > 30 for group in words for w in group)
    assert len({w[0] for w in words}) == 4
    assert all("Transductive" in s.wording.history for s in splits if s.test.information_set == "transductive")


def test_a_core_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"evaluation\.k_core 99: found no training row that is left of leave_last"):
        protocols.leave_last_out(by_day(DOZEN), 99)
