"""Random streams of live events, and what a corpus with them in it says: online states must equal those."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from factories.features import START, Prepared, World

from llmrec.features.asof.history import History
from llmrec.features.asof.logs.happened import Happened, event_ties
from llmrec.features.asof.state import ItemState, UserState
from llmrec.live.asof.live_history import LiveHistory
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
    if not events:
        return
    join(history, [e[C.USER_ID] for e in events])
    users, items = ([e[name] for e in events] for name in (C.USER_ID, C.ITEM_ID))
    stars = np.array([np.nan if e[C.STARS] is None else e[C.STARS] for e in events], np.float32)
    times = np.array([e[C.TIMESTAMP] for e in events])
    history.place(history.user_rows(users), history.item_rows(items), times, event_order(users, items), stars)


def doings(world: World, n: int, seed: int) -> list[dict[str, Any]]:
    """n events of many kinds: repeats, late ones, ties among themselves and with the corpus's, new users, searches."""
    rng, last = np.random.default_rng([seed, 2]), START + 90 * DAY_MS
    found = list[dict[str, Any]]()
    while len(found) < n:
        kind = str(rng.choice(["view", "dwell", "impression", "search"]))
        late = rng.random() < 0.3
        time = (START if late else last) + int(rng.integers(0, 90 * 24 if late else 60)) * DAY_MS // 24
        event = {
            C.EVENT_ID: f"{rng.integers(1 << 40):x}", C.USER_ID: _somebody(rng), C.TIMESTAMP: time, C.KIND: kind,
            C.ITEM_ID: None if kind == "search" else f"i{int(rng.integers(N_ITEMS) * rng.random()):03d}",
            C.VALUE: float(np.float32(rng.gamma(2, 20))) if kind == "dwell" else None,
        }  # fmt: skip
        again = [found[-1], *world.events[:1]][int(rng.integers(2))] if found and rng.random() < 0.2 else {}
        found.append(event | {k: v for k, v in again.items() if k not in (C.EVENT_ID, C.VALUE)})
    return found


def relations(world: World, n: int, seed: int) -> list[dict[str, Any]]:
    """n of them that the corpus does not have, late ones and of one moment among them."""
    rng, known = np.random.default_rng([seed, 3]), {(r[C.FOLLOWER_ID], r[C.FOLLOWED_ID]) for r in world.relations}
    found = list[dict[str, Any]]()
    while len(found) < n:
        pair = _somebody(rng), _somebody(rng)
        if pair[0] != pair[1] and pair not in known:
            known.add(pair)
            since = START + int(rng.integers(0, 95)) * DAY_MS
            found.append(dict(zip((C.FOLLOWER_ID, C.FOLLOWED_ID, C.SINCE), (*pair, since), strict=True)))
    return found


def _somebody(rng: np.random.Generator) -> str:
    return f"new{rng.integers(6)}" if rng.random() < 0.2 else f"u{rng.integers(25):03d}"


def join(history: LiveHistory, users: list[str]) -> None:
    history.new_users([u for u in dict.fromkeys(users) if not history.user_rows([u])[0]])


def happen(history: LiveHistory, events: list[dict[str, Any]]) -> None:
    users, items = [e[C.USER_ID] for e in events], [e[C.ITEM_ID] or "" for e in events]
    join(history, users)
    values = np.array([np.nan if e[C.VALUE] is None else e[C.VALUE] for e in events], np.float32)
    kinds = np.array([history.further.kinds.index(e[C.KIND]) for e in events], np.int64)
    ids = pa.chunked_array([pa.array([e[C.EVENT_ID] for e in events], pa.string())])
    history.happen(
        Happened(history.user_rows(users), history.item_rows(items), np.array([e[C.TIMESTAMP] for e in events]), kinds,
                 values, event_order(users, items), event_ties(ids))
    )  # fmt: skip


def follow(history: LiveHistory, relations: list[dict[str, Any]]) -> None:
    for r in relations:
        pair = [r[C.FOLLOWER_ID], r[C.FOLLOWED_ID]]
        join(history, pair)
        follower, followed = history.user_rows(pair).tolist()
        order = int(event_order(pair[:1], pair[1:])[0])
        assert history.live_further.follow(follower, followed, r[C.SINCE], order)
        assert not history.live_further.follow(follower, followed, r[C.SINCE] + 1, order)  # each pair once


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
