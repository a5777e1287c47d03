"""The online state equals the offline one: live events placed one batch after the other, against a corpus with them."""

from dataclasses import replace

import numpy as np
import pytest
from factories.features import START, Prepared, World, encode
from factories.live import (
    N_ITEMS,
    assert_equal,
    assert_same,
    doings,
    follow,
    happen,
    offline,
    place,
    relations,
    stream,
)

from llmrec.features.asof.events import BLOCK, NEVER
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.live.asof.live_history import LiveHistory
from llmrec.live.asof.live_items import ItemFields
from llmrec.live.context import LiveContext
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C


@pytest.fixture(scope="module")
def base() -> tuple[World, Prepared]:
    world = World.random(n_items=N_ITEMS)
    return world, world.prepare()


@pytest.mark.parametrize("seed", range(3))
def test_after_any_stream_the_state_is_that_of_a_corpus_with_these_events(
    base: tuple[World, Prepared], seed: int
) -> None:
    world, prepared = base
    history, rng = LiveHistory(prepared.history), np.random.default_rng([7, seed])
    events, placed = stream(world, 400, seed), 0
    assert_same(
        history.items_at(np.arange(9), np.full(9, START)), prepared.history.items_at(np.arange(9), np.full(9, START))
    )
    while placed < len(events):
        size = int(rng.choice([1, 3, 20, 90]))
        place(history, events[placed : placed + size])
        placed += size
    made = offline(world, prepared, events)
    heaviest = np.bincount(made.data.item_rows).max()
    assert heaviest > 3 * BLOCK and history.n_live == len(events)  # sums of whole blocks were carried on
    assert_equal(history, made, prepared)


@pytest.mark.parametrize(("seed", "lag"), [(0, 0.0), (1, 90.0)])
def test_after_any_stream_of_many_kinds_the_state_is_that_of_a_corpus_with_it(seed: int, lag: float) -> None:
    world = World.eventful(seed=seed, event_lag=lag)
    prepared, rng = world.prepare(), np.random.default_rng([8, seed])
    history, reviews, besides = LiveHistory(prepared.history), stream(world, 100, seed), doings(world, 500, seed)
    follows = relations(world, 40, seed)
    for start in range(0, 500, 50):
        place(history, reviews[start // 5 : start // 5 + 10])
        batch = besides[start : start + 50]
        for part in np.array_split(np.arange(50), np.sort(rng.integers(1, 50, 4))):
            happen(history, [batch[k] for k in part])
        follow(history, follows[start // 10 : start // 10 + 5])
    told = replace(world, events=[*world.events, *besides], relations=[*world.relations, *follows])
    made = offline(told, prepared, reviews)
    assert made.further.items is not None and np.diff(made.further.items.events.offsets).max() > 2 * BLOCK
    assert_equal(history, made, prepared)
    users, times = list(made.user_ids), np.full(len(made.user_ids), START + 97 * DAY_MS)
    one, other = (h.users_at(h.user_rows(users), times) for h in (history, made))
    items = [h.items_at(np.arange(1, N_ITEMS + 1), times[:N_ITEMS]) for h in (history, made)]
    for name, (mine, theirs) in {"user": (one, other), "item": items}.items():
        assert mine.events.any(axis=(0, 2)).sum() == len(made.further.kinds) - (name == "item"), name  # but searches
        np.testing.assert_array_equal(mine.events, theirs.events)
    assert one.followed_items.any() and (one.follows[[u.startswith("new") for u in users]] > 0).any()


def test_of_what_does_not_happen_to_it_an_item_that_joins_knows_nothing() -> None:
    world = World.eventful()
    history = LiveHistory(world.prepare().history)
    row = history.put_item("a new one", ItemFields("brand1", [], 5.0), START)
    state = history.items_at(np.array([row, 3]), np.full(2, START + 95 * DAY_MS))
    assert not state.events[0].any() and state.events[1].any()


@pytest.mark.slow
def test_ten_thousand_events_come_to_the_same() -> None:
    world = World.random(n_users=400, n_items=N_ITEMS, n_reviews=4_000)
    prepared = world.prepare()
    history, events, rng = LiveHistory(prepared.history), stream(world, 10_000, 11), np.random.default_rng(0)
    placed = 0
    while placed < len(events):
        size = int(rng.choice([1, 20, 200, 900]))
        place(history, events[placed : placed + size])
        placed += size
    assert_equal(history, offline(world, prepared, events), prepared)


def test_words_that_come_later_are_those_of_a_review(base: tuple[World, Prepared]) -> None:
    world, prepared = base
    history, events = LiveHistory(prepared.history), stream(world, 150, 9)
    place(history, events)
    numbers = history.n_base + np.arange(len(events))
    for k in np.random.default_rng(2).permutation(len(events))[:60]:
        events[k] |= {C.TEXT: f"word{k % 40} word{k % 7}"}
        user = int(history.user_rows([events[k][C.USER_ID]])[0])
        history.speak(user, int(numbers[k]), encode([events[k][C.TEXT]])[0])
    assert_equal(history, offline(world, prepared, events), prepared)


def test_models_see_the_same_past(base: tuple[World, Prepared]) -> None:
    world, prepared = base
    live, events = LiveContext.of(prepared.spec, prepared.history, "text"), stream(world, 200, 4)
    held = live.as_of
    for start in range(0, len(events), 50):
        place(live.history, events[start : start + 50])
    made = offline(world, prepared, events)
    data = Interactions.of_history(made)
    whole, times = AsOf(data), np.full(len(made.user_ids), START + 93 * DAY_MS)
    rows = live.history.user_rows(list(made.user_ids))
    theirs = np.arange(len(made.user_ids))
    found, expected = held.histories(rows, times), whole.histories(theirs, times)
    assert found.indices.tolist() == expected.indices.tolist() and found.indptr.tolist() == expected.indptr.tolist()
    np.testing.assert_array_equal(held.history_lengths(rows, times), whole.history_lengths(theirs, times))
    for decay in (None, 30.0):
        np.testing.assert_allclose(held.popularity(times[:2], decay), whole.popularity(times[:2], decay), rtol=1e-6)
    for one, other in zip(held.events(START, NEVER), whole.events(START, NEVER), strict=True):
        assert sorted(one.tolist()) == sorted(other.tolist())
    np.testing.assert_array_equal(live.interactions.known_from, data.known_from)
    np.testing.assert_array_equal(live.interactions.user_hash[rows], data.user_hash)


def test_an_item_that_joins_or_changes_is_that_of_a_corpus_that_has_it(base: tuple[World, Prepared]) -> None:
    world, prepared = base
    history, events, since = LiveHistory(prepared.history), stream(world, 150, 6), START + 80 * DAY_MS
    place(history, events[:40])
    changes = {"a new one": ("new", ["cat1", "catZ"], 12.5, "word3 word9"), "i003": ("brand9", [], None, "word30")}
    for item, (brand, categories, price, words) in changes.items():
        row = history.put_item(item, ItemFields(brand, categories, price), since)
        history.describe_item(row, encode([words])[0])
    for event in events[40::3]:
        event[C.ITEM_ID] = "a new one"
    place(history, events[40:])
    told = {item: {C.BRAND: b, C.CATEGORIES: c, C.PRICE: p, C.TITLE: w} for item, (b, c, p, w) in changes.items()}
    new = dict.fromkeys(world.items[0]) | {C.ITEM_ID: "a new one", C.AVAILABLE_FROM: since}
    items = [item | told.get(item[C.ITEM_ID], {}) for item in [*world.items, new]]
    made = offline(replace(world, items=items), prepared, events)
    ids, times = list(made.item_ids), np.full(len(made.item_ids), START + 97 * DAY_MS)
    states = [h.items_at(h.item_rows(ids), times) for h in (history, made)]
    assert_same(*states)
    np.testing.assert_array_equal(*(prepared.spec.item_features(state) for state in states))
    users, times = list(made.user_ids), np.full(len(made.user_ids), START + 97 * DAY_MS)
    one, other = (h.users_at(h.user_rows(users), times) for h in (history, made))
    named = [np.array(list(h.item_ids), object)[s.history] for h, s in ((history, one), (made, other))]
    np.testing.assert_array_equal(*named)
    assert "a new one" in named[0]
    assert_same(replace(one, history=other.history), other)
    assert history.data.attribute_names[int(states[0].attributes[ids.index("a new one"), 0])] == "brand=new"
