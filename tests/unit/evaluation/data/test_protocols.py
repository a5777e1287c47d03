"""Protocols on a dozen events that fit in the head, and the reference figures on the real corpus."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llmrec.evaluation.baselines.base import Baseline, quality, recommend
from llmrec.evaluation.baselines.item_item import EASE, ItemKNN
from llmrec.evaluation.baselines.popularity import Popularity

from llmrec.config import SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data import protocols
from llmrec.features.asof.interactions import END, AsOf, Interactions

DAY = 86_400_000
EVENTS = [("ann", "a", 1), ("ann", "b", 2), ("bob", "a", 2), ("bob", "c", 4), ("cy", "b", 4), ("ann", "c", 5),
          ("cy", "d", 5)]  # fmt: skip


def build(events: list[tuple[str, str, int]], **kwargs: object) -> Interactions:
    users, items, days = zip(*events, strict=True)
    return Interactions.from_arrays(users, items, np.array(days) * DAY, **kwargs)  # type: ignore[arg-type]


def test_equal_times_are_unseen_and_histories_are_sets_before_t() -> None:
    data = build(EVENTS)
    as_of = AsOf(data, np.arange(len(data)))
    ann, bob = data.user_ids.index("ann"), data.user_ids.index("bob")
    users, times = np.array([ann, ann, ann, bob]), np.array([1, 2, 6, 4]) * DAY
    found = [sorted(data.item_ids[i] for i in row.indices) for row in as_of.histories(users, times)]
    assert found == [[], ["a"], ["a", "b", "c"], ["a"]]


def test_popularity_counts_events_before_t_and_decays_by_age() -> None:
    data = build(EVENTS)
    as_of = AsOf(data, np.arange(len(data)))
    counts = as_of.popularity(np.array([4, 1, 2]) * DAY)
    assert counts.tolist() == [[2, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    decayed = as_of.popularity(np.array([4]) * DAY, decay_days=2.0)
    np.testing.assert_allclose(decayed[0], [np.exp(-3 / 2) + np.exp(-1), np.exp(-1), 0, 0], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=40),
       st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=10))  # fmt: skip
def test_as_of_equals_a_filter_over_all_events(
    events: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    data = build([(f"u{u}", f"i{i}", t) for u, i, t in events])
    as_of = AsOf(data, np.arange(len(data)))
    known = [(u, t) for u, t in asked if f"u{u}" in data.user_ids] or [(events[0][0], 3)]
    users = np.array([data.user_ids.index(f"u{u}") for u, _ in known])
    times = np.array([t for _, t in known]) * DAY
    histories, popularity = as_of.histories(users, times).toarray() > 0, as_of.popularity(times)
    for q, (u, t) in enumerate(zip(users, times, strict=True)):
        before = data.time < t
        expected = np.zeros(data.n_items, bool)
        expected[data.item[before & (data.user == u)]] = True
        assert (histories[q] == expected).all()
        assert (popularity[q] == np.bincount(data.item[before], minlength=data.n_items)).all()


def test_temporal_asks_every_event_from_t2_and_trains_strictly_before() -> None:
    data = build(EVENTS)
    split = protocols.temporal(data, 2 * DAY, 4 * DAY)
    assert data.time[split.validation.train].tolist() == [DAY]
    assert (data.time[split.validation.queries.event] // DAY).tolist() == [2, 2]
    assert (data.time[split.test.train] < 4 * DAY).all() and len(split.test.train) == 3
    assert len(split.test.queries) == 4
    # c and d appear at their own query's time: nobody can have known them, d both times, c once
    assert split.test.missed() == 2
    known = split.test.candidates(slice(0, 4))
    assert known is not None and known.sum(axis=1).tolist() == [2, 2, 3, 3]


def test_an_item_with_a_date_is_a_candidate_before_its_first_event() -> None:
    data = build(EVENTS, available_from={"d": 3 * DAY, "new": 4 * DAY})
    fold = protocols.temporal(data, 2 * DAY, 4 * DAY).test
    known = fold.candidates(slice(0, 4))
    assert known is not None
    at4 = {data.item_ids[i] for i in np.flatnonzero(known[0])}
    at5 = {data.item_ids[i] for i in np.flatnonzero(known[3])}
    assert (at4, at5) == ({"a", "b", "d"}, {"a", "b", "c", "d", "new"})


def test_frozen_asks_one_list_a_user_at_t2() -> None:
    data = build(EVENTS)
    q = protocols.frozen(data, 2 * DAY, 4 * DAY).test.queries
    asked = {
        data.user_ids[u]: {data.item_ids[i] for i in q.item[a:b]}
        for u, a, b in zip(q.user, q.indptr, q.indptr[1:], strict=False)
    }
    assert asked == {"ann": {"c"}, "bob": {"c"}, "cy": {"b", "d"}}
    assert set(q.time.tolist()) == {4 * DAY}


def test_leave_last_out_takes_the_last_by_time_then_hash() -> None:
    data = build(EVENTS)
    split = protocols.leave_last_out(data)
    assert {data.item_ids[i] for i in split.test.queries.item} == {"c", "d"}
    assert split.test.information_set == "transductive" and (split.test.queries.time == END).all()
    assert len(split.test.train) == 4 and len(split.validation.train) == 3  # of ann's three events one is validation
    tied = build([("ann", "x", 1), ("ann", "y", 1), ("ann", "z", 1)])
    reversed_file = build([("ann", "z", 1), ("ann", "y", 1), ("ann", "x", 1)])
    last = [d.item_ids[protocols.leave_last_out(d).test.queries.item[0]] for d in (tied, reversed_file)]
    assert last[0] == last[1]


def test_random_split_holds_out_a_quarter_of_each_user() -> None:
    data = build([(f"u{u}", f"i{i}", i) for u in range(5) for i in range(4 + 4 * u)])
    split = protocols.random_split(data, seed=3)
    assert split.test.queries.n_relevant.tolist() == [1, 2, 3, 4, 5]
    assert not np.intersect1d(split.test.train, split.test.queries.event).size
    inner = np.concatenate([split.validation.train, split.validation.queries.event])
    np.testing.assert_array_equal(np.sort(inner), split.test.train)


def test_k_core_drops_until_all_have_k() -> None:
    data = build([("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("b", "y", 4), ("c", "y", 5), ("c", "z", 6)])
    kept = protocols.k_core(data, np.arange(6), 2)
    assert {(data.user_ids[data.user[r]], data.item_ids[data.item[r]]) for r in kept} == {
        ("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")
    }  # fmt: skip


def test_rolling_origins_refit_at_each_cut_and_never_ask_twice() -> None:
    data = build([(f"u{i % 7}", f"i{i % 5}", i) for i in range(100)])
    splits = protocols.rolling_origins(data, (0.5, 0.7, 0.9))
    asked = np.concatenate([s.test.queries.event for s in splits])
    assert len(asked) == len(set(asked.tolist())) == 30
    assert [len(s.test.train) for s in splits] == [70, 90]
    assert all(data.time[s.test.train].max() < data.time[s.test.queries.event].min() for s in splits)


def test_every_protocol_says_what_it_does() -> None:
    data = build(EVENTS)
    splits = [
        protocols.temporal(data, 2 * DAY, 4 * DAY), protocols.frozen(data, 2 * DAY, 4 * DAY),
        protocols.leave_last_out(data), protocols.random_split(data, 0),
    ]  # fmt: skip
    words = [(s.wording.description, s.wording.history, s.wording.refit, s.wording.candidates) for s in splits]
    assert all(len(w) > 30 for group in words for w in group)
    assert len({w[0] for w in words}) == 4
    assert all("Transductive" in s.wording.history for s in splits if s.test.information_set == "transductive")


@pytest.fixture(scope="module")
def musical_instruments(data_folder: Path) -> Interactions:
    file = data_folder / "reviews_Musical_Instruments_5.json.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    time = np.array([int(r["unixReviewTime"]) for r in rows]) * 1000
    return Interactions.from_arrays([r["reviewerID"] for r in rows], [r["asin"] for r in rows], time)


REFERENCE = [  # what shared/reference/rank_reference.py prints: R@10, NDCG@10, R@50
    ("temporal", Popularity(), None, (0.0901, 0.0469, 0.2442)),
    ("temporal", Popularity(90.0), None, (0.1085, 0.0561, 0.2984)),
    ("temporal", ItemKNN(), None, (0.0359, 0.0190, 0.1463)),
    ("temporal", EASE(500.0), None, (0.0620, 0.0325, 0.1676)),
    ("temporal", EASE(500.0), 90.0, (0.0843, 0.0459, 0.2219)),
    ("leave_last_out", Popularity(), None, (0.0966, 0.0465, 0.2435)),
    ("leave_last_out", ItemKNN(), None, (0.1113, 0.0596, 0.2596)),
    ("leave_last_out", EASE(200.0), None, (0.1505, 0.0754, 0.2967)),
]


@pytest.mark.parametrize(("protocol", "model", "fallback", "expected"), REFERENCE)
def test_baselines_agree_with_the_reference(
    musical_instruments: Interactions,
    protocol: str,
    model: Baseline,
    fallback: float | None,
    expected: tuple[float, float, float],
) -> None:
    data = musical_instruments
    if protocol == "temporal":
        cut = cutoffs(data.time, SplitConfig())
        fold = protocols.temporal(data, cut.t1, cut.t2).test
        assert len(fold.queries) == 1032
    else:
        fold = protocols.leave_last_out(data).test
        assert len(fold.queries) == 1429
    model.fit(fold)
    top = recommend(model, fold, 50, fallback)
    found = [quality(top, fold, m) for m in ("recall@10", "ndcg@10", "recall@50")]
    np.testing.assert_allclose(found, expected, atol=0.005)
