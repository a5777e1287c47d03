"""What happened besides, counted by brute force from the rows: strictly before t, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories.features import START, World

from llmrec.features.asof.logs.further_logs import FOLLOWED, TAKEN
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

NOW = START + 60 * DAY_MS  # at midnight, when things happen too: they are unseen
HOUR = DAY_MS // 24


@pytest.fixture(scope="module")
def world() -> World:
    return World.eventful()


@pytest.fixture(scope="module")
def made(world: World) -> Any:
    return world.prepare()


def before(world: World, kind: str, now: int = NOW, **who: str) -> list[dict[str, Any]]:
    return [e for e in world.events if e[C.KIND] == kind and e[C.TIMESTAMP] < now and who.items() <= e.items()]


@pytest.mark.parametrize("side", ["user", "item"])
def test_counts_decays_values_and_recency_of_each_kind(world: World, made: Any, side: str) -> None:
    history = made.history
    ids = history.user_ids if side == "user" else history.item_ids
    rows, name = np.arange(len(ids)), C.USER_ID if side == "user" else C.ITEM_ID
    at = history.users_at if side == "user" else history.items_at
    found = at(rows, np.full(len(rows), NOW)).events
    assert history.further.kinds == ("dwell", "impression", "search", "view") and found.shape == (len(rows), 4, 5)
    for k, kind in enumerate(history.further.kinds):
        for row in rows[1:]:
            past = before(world, kind, **{name: ids[row]})
            ages = np.array([NOW - e[C.TIMESTAMP] for e in past]) / DAY_MS
            expected = [len(past), *(np.exp(-ages / d).sum() for d in (7, 30)), sum(e[C.VALUE] or 0 for e in past),
                        1 / (1 + ages.min()) if past else 0]  # fmt: skip
            np.testing.assert_allclose(found[row, k], expected, rtol=1e-5, atol=1e-9)
    assert not found[0].any()


def test_pairs_are_made_of_the_users_last_events(world: World, made: Any) -> None:
    history, spec = made.history, made.spec
    users, items = np.meshgrid(np.arange(1, 12), np.arange(1, 16), indexing="ij")
    users, items = users.ravel(), items.ravel()
    times = np.full(len(users), NOW)
    found = spec.pair_features(history.users_at(users, times), history.items_at(items, times))
    column = [c.name for c in spec.pair_columns].index("view_pair_events")
    assert spec.pair_columns[column].family == "event_view_pair"
    n = [len(before(world, "view", user_id=history.user_ids[u], item_id=history.item_ids[i]))
         for u, i in zip(users, items, strict=True)]  # fmt: skip
    assert np.corrcoef(found[:, column], np.log1p(n))[0, 1] > 1 - 1e-6 and max(n) > 0


def test_what_those_whom_one_follows_took_before_now(world: World, made: Any) -> None:
    history = made.history
    rows = np.arange(1, len(history.user_ids))
    state = history.users_at(rows, np.full(len(rows), NOW))
    some = 0
    for q, row in enumerate(rows):
        followed = [r[C.FOLLOWED_ID] for r in world.relations
                    if r[C.FOLLOWER_ID] == history.user_ids[row] and (r[C.SINCE] or 0) < NOW]  # fmt: skip
        assert state.follows[q] == len(followed) <= FOLLOWED
        taken = [[r[C.ITEM_ID] for r in sorted(world.reviews, key=lambda r: r[C.TIMESTAMP])
                  if r[C.USER_ID] == who and r[C.TIMESTAMP] < NOW] for who in followed]  # fmt: skip
        shown = [history.item_ids[i] for i in state.followed_items[q] if i]
        assert len(shown) == sum(min(len(one), TAKEN) for one in taken)
        assert set(shown) <= {item for one in taken for item in one}
        some += len(shown)
    assert some


def test_a_lag_hides_what_belongs_to_the_visit(world: World, made: Any) -> None:
    late = World.eventful(event_lag=24 * 60.0).prepare()
    rows = np.arange(len(late.history.user_ids))
    a = late.history.users_at(rows, np.full(len(rows), NOW))
    b = made.history.users_at(rows, np.full(len(rows), NOW - DAY_MS))
    assert (a.events[:, :, 0] == b.events[:, :, 0]).all() and (a.recent_items == b.recent_items).all()


def test_users_who_only_looked_and_items_only_seen_are_known(world: World, made: Any) -> None:
    history = made.history
    assert {"u025", "u026"} <= set(history.user_ids) and {"i015", "i016"} <= set(history.item_ids)
    first = min(e[C.TIMESTAMP] for e in world.events if e[C.ITEM_ID] == "i015")
    row = int(history.item_rows(["i015"])[0])
    assert not history.known_items(first)[row] and history.known_items(first + 1)[row]


def test_nothing_at_or_after_a_moment_moves_a_feature_and_what_was_before_does(world: World, made: Any) -> None:
    moved = [dict(e) for e in world.events]
    for n, e in enumerate(moved):
        if e[C.TIMESTAMP] >= NOW and n % 2:
            e |= {C.ITEM_ID: None if e[C.ITEM_ID] is None else "i003", C.VALUE: 999.0, C.USER_ID: "u004"}
    relations = [r | ({C.FOLLOWED_ID: "u024"} if (r[C.SINCE] or 0) >= NOW else {}) for r in world.relations]
    gone = [e for n, e in enumerate(moved) if e[C.TIMESTAMP] < NOW or n % 3]
    later = replace(world, events=gone, relations=relations).prepare(fitted=made)
    early = next(n for n, e in enumerate(world.events) if e[C.KIND] == "view" and e[C.TIMESTAMP] < NOW - DAY_MS)
    other = replace(world, events=[e for n, e in enumerate(world.events) if n != early]).prepare(fitted=made)
    users = np.repeat(np.arange(1, 26), 15)
    items = np.tile(np.arange(1, 16), 25)
    times = np.full(len(users), NOW)

    def features(one: Any) -> np.ndarray:
        states = one.history.users_at(users, times), one.history.items_at(items, times)
        return np.concatenate([made.spec.user_features(states[0]), made.spec.item_features(states[1]),
                               made.spec.pair_features(*states)], axis=1)  # fmt: skip

    assert len(later.history.user_ids) == len(made.history.user_ids)
    assert (features(later) == features(made)).all()
    assert (features(other) != features(made)).any()


def test_attributes_have_a_column_each(made: Any) -> None:
    names = {c.name for c in made.spec.user_columns if c.family == "user_attributes"}
    assert names == {"age=band0", "age=band1", "age=band2"}
    state = made.history.users_at(made.history.user_rows(["u002", "u001"]), np.full(2, NOW))
    assert state.attributes[0, 0] and not state.attributes[1, 0]
