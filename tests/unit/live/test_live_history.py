"""The online state equals the offline one: live events placed one batch after the other, against a corpus with them."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from factories.features import START, Prepared, World, encode

from llmrec.features.asof.events import BLOCK, NEVER
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.asof.state import ItemState, UserState
from llmrec.live.context import LiveContext
from llmrec.live.live_history import LiveHistory
from llmrec.live.live_items import ItemFields
from llmrec.schema import DAY_MS, event_order
from llmrec.schema import Column as C

N_ITEMS = 15
#: What is the corpus's own place of a user, and what is not made online: what they had, as text.
BUT = {"rows", "sequence"}


def stream(world: World, n: int, seed: int) -> list[dict[str, Any]]:
    """n events in the order in which they come: repeats of pairs, late ones, ties with the corpus's, new users."""
    rng, last = np.random.default_rng(seed), START + 90 * DAY_MS
    taken = {(r[C.USER_ID], r[C.ITEM_ID], r[C.TIMESTAMP]) for r in world.reviews}
    found = list[dict[str, Any]]()
    while len(found) < n:
        who = f"new{rng.integers(6)}" if rng.random() < 0.3 else f"u{rng.integers(25):03d}"
        late = rng.random() < 0.3
        time = START + int(rng.integers(0, 90)) * DAY_MS if late else last + int(rng.integers(0, 40)) * DAY_MS // 8
        item = f"i{int(rng.integers(N_ITEMS) * rng.random()):03d}"  # some are taken often: their blocks fill up
        if (who, item, time) not in taken:
            taken.add((who, item, time))
            found.append({
                C.REVIEW_ID: f"live{len(found)}", C.USER_ID: who, C.ITEM_ID: item, C.TIMESTAMP: time,
                C.STARS: float(rng.integers(1, 6)) if rng.random() < 0.8 else None, C.TITLE: None, C.TEXT: "",
            })  # fmt: skip
    return found


def place(history: LiveHistory, events: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(e[C.USER_ID] for e in events if not history.user_rows([e[C.USER_ID]])[0]))
    history.new_users(names)
    users, items = ([e[name] for e in events] for name in (C.USER_ID, C.ITEM_ID))
    stars = np.array([np.nan if e[C.STARS] is None else e[C.STARS] for e in events], np.float32)
    times = np.array([e[C.TIMESTAMP] for e in events])
    history.place(history.user_rows(users), history.item_rows(items), times, event_order(users, items), stars)


def offline(world: World, base: Prepared, events: list[dict[str, Any]]) -> History:
    return replace(world, reviews=[*world.reviews, *events]).prepare(fitted=base).history


def assert_same(one: UserState | ItemState, other: UserState | ItemState) -> None:
    for f in fields(one):
        if f.name not in BUT:
            np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name), err_msg=f.name)


def assert_equal(online: LiveHistory, offline: History, base: Prepared) -> None:
    ids, rng = offline.user_ids[1:], np.random.default_rng(1)
    assert set(ids) == set(online.user_ids[1:])
    for _ in range(6):
        times = START + rng.integers(0, 100 * DAY_MS, len(ids))
        times[::3] = times[::3] // DAY_MS * DAY_MS  # where events are
        mine, theirs = (h.users_at(h.user_rows(ids), times) for h in (online, offline))
        assert_same(mine, theirs)
        np.testing.assert_array_equal(
            *(np.delete(base.spec.user_features(s), sequence_columns(base), axis=1) for s in (mine, theirs))
        )
        rows = rng.integers(1, N_ITEMS + 1, len(ids))
        items, theirs_ = online.items_at(rows, times), offline.items_at(rows, times)
        assert_same(items, theirs_)
        np.testing.assert_array_equal(*(base.spec.item_features(s) for s in (items, theirs_)))
        np.testing.assert_array_equal(*(h.item_counts(rows, times).decayed for h in (online, offline)))
        for user, time in zip(ids, times.tolist(), strict=True):
            seen = [h.seen(int(h.user_rows([user])[0]), time).tolist() for h in (online, offline)]
            assert seen[0] == seen[1]
    np.testing.assert_array_equal(online.known_since, offline.known_since)


def sequence_columns(base: Prepared) -> list[int]:
    return [k for k, c in enumerate(base.spec.user_columns) if c.family == "text_user_sequence"]


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


def test_what_happened_besides_stays_what_the_bundle_knows() -> None:
    world = World.eventful()
    prepared, events = world.prepare(), stream(world, 150, 5)
    history = LiveHistory(prepared.history)
    place(history, events)
    assert_equal(history, offline(world, prepared, events), prepared)
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
