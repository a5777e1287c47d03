"""From the log into the history: the outcome's events enter the interactions, and each event is placed once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories.features import START, World
from factories.live import assert_equal, doings, offline, relations, stream

from llmrec.features.asof.state import UserState
from llmrec.live.asof.live_history import LiveHistory
from llmrec.live.event_log import Entry
from llmrec.live.placer import Placer
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

LEAST = 30.0


def outcomes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `reviews` for the events that are the outcome, as ingest makes them."""
    return [
        {C.REVIEW_ID: f"event:{e[C.EVENT_ID]}", C.STARS: None, C.TITLE: None, C.TEXT: "",
         **{name: e[name] for name in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP)}}
        for e in events if e[C.KIND] == "dwell" and (e[C.VALUE] or 0) >= LEAST
    ]  # fmt: skip


def entries(reviews: list[dict[str, Any]], events: list[dict[str, Any]], rng: np.random.Generator) -> list[Entry]:
    """As the log has them, in any order."""
    found = [
        (e[C.EVENT_ID], {"kind": e[C.KIND], "user": e[C.USER_ID], "item": e[C.ITEM_ID], "time": e[C.TIMESTAMP],
                         "value": e[C.VALUE], "session": None, "text": None}) for e in events
    ]  # fmt: skip
    found += [(r[C.REVIEW_ID], {"user": r[C.USER_ID], "item": r[C.ITEM_ID], "time": r[C.TIMESTAMP],
                                "stars": r[C.STARS], "words": None}) for r in reviews]  # fmt: skip
    return [Entry(n + 1, "event", *found[k]) for n, k in enumerate(rng.permutation(len(found)))]


@pytest.fixture(scope="module")
def world() -> World:
    made = World.eventful()
    events = [{C.EVENT_ID: f"e{n}", **e} for n, e in enumerate(made.events)]
    return replace(made, events=events, reviews=[*made.reviews, *outcomes(events)], outcome="dwell", at_least=LEAST)


def test_the_outcomes_events_enter_the_interactions_and_others_do_not(world: World) -> None:
    prepared, rng = world.prepare(), np.random.default_rng(3)
    history = LiveHistory(prepared.history)
    placer = Placer(history, len(history.user_ids), 10_000)
    reviews, events, follows = stream(world, 40, 1), doings(world, 300, 1), relations(world, 10, 1)
    coming = entries(reviews, events, rng)
    for start in range(0, len(coming), 50):
        placer.place(coming[start : start + 50])
    pairs = [{"user": r[C.FOLLOWER_ID], "followed": r[C.FOLLOWED_ID], "time": r[C.SINCE]} for r in follows]
    placer.follow([Entry(1_000 + n, "follow", "", pair) for n, pair in enumerate(pairs * 2)])
    told = replace(world, events=[*world.events, *events], relations=[*world.relations, *follows])
    asked = outcomes(events)
    assert (placer.events, placer.follows, history.n_live) == (340, 10, 40 + len(asked)) and 20 < len(asked) < 80
    assert_equal(history, offline(told, prepared, [*reviews, *asked]), prepared)


def test_an_event_that_the_bundle_holds_counts_once(world: World) -> None:
    history = LiveHistory(world.prepare().history)
    placer = Placer(history, len(history.user_ids), 10_000)
    held, other = dict(world.events[5]), dict(world.events[5]) | {C.EVENT_ID: "another"}
    before = _state(history, held[C.USER_ID])
    placer.place(entries([], [held], np.random.default_rng()))
    assert (placer.events, placer.copies) == (0, 1)
    placer.place(entries([], [other | {C.USER_ID: "somebody"}], np.random.default_rng()))
    np.testing.assert_array_equal(_state(history, held[C.USER_ID]).events, before.events)
    assert (placer.events, placer.copies) == (1, 1)


def test_more_than_may_be_held_are_not_counted(world: World) -> None:
    history = LiveHistory(world.prepare().history)
    placer = Placer(history, len(history.user_ids), 7)
    placer.place(entries([], doings(world, 20, 2), np.random.default_rng()))
    assert placer.events == 7


def _state(history: LiveHistory, user: str) -> UserState:
    return history.users_at(history.user_rows([user]), np.array([START + 99 * DAY_MS]))
