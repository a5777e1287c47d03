"""A state without an event is the state of a corpus without the review; with a session, of one that has its events."""

from dataclasses import fields, replace

import numpy as np
import pytest
from factories.features import START, World

from llmrec.features.asof.state import UserState
from llmrec.features.asof.supposed import with_recent, without_event
from llmrec.schema import DAY_MS, event_order
from llmrec.schema import Column as C

NOW = START + 95 * DAY_MS
#: What the user's own events decide, whatever the items' other reviews say.
OWN = (
    "history", "history_times", "history_stars", "history_attributes", "count", "window", "decayed", "stars", "first",
    "last", "text", "text_weight", "vectors", "last_vectors",
)  # fmt: skip


@pytest.mark.parametrize("user", ["u003", "u007", "u011"])
def test_it_is_that_of_a_corpus_without_the_review(user: str) -> None:
    world = World.random(n_reviews=110)  # some users have fewer events than a history holds, some more
    made = world.prepare()
    state = made.history.users_at(made.history.user_rows([user]), np.array([NOW]))
    places = np.flatnonzero(state.history[0] > 0)
    for place in places[:: max(1, len(places) - 1)]:
        item = made.history.item_ids[int(state.history[0, place])]
        gone = next(r for r in world.reviews if (r[C.USER_ID], r[C.ITEM_ID]) == (user, item))
        other = world.without(gone[C.REVIEW_ID]).prepare(fitted=made).history
        expected = other.users_at(other.user_rows([user]), np.array([NOW]))
        found = without_event(made.history, state, int(place))
        for name in OWN:
            mine, theirs = getattr(found, name), getattr(expected, name)
            if name == "history":  # rows may be others', ids may not
                mine, theirs = ([h.item_ids[r] for r in rows[0]] for h, rows in ((made.history, mine), (other, theirs)))
                if len(theirs) and int(state.count[0]) > len(places):  # an older event moves up there
                    mine, theirs = mine[1:], theirs[1:]
                assert mine == theirs
            elif name.startswith("history") and int(state.count[0]) > len(places):
                np.testing.assert_allclose(mine[:, 1:], theirs[:, 1:], err_msg=name)
            else:
                np.testing.assert_allclose(mine, theirs, atol=1e-5, err_msg=f"{name} without {item}")


@pytest.mark.parametrize("user", ["u003", "u007", "nobody"])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_a_session_is_that_of_a_corpus_with_its_events(user: str, n: int) -> None:
    world = World.random(n_reviews=110)
    made = world.prepare()
    taken = [made.history.item_ids[1 + (5 * k) % 14] for k in range(n)]
    events = [
        {C.REVIEW_ID: f"now{k}", C.USER_ID: user, C.ITEM_ID: item, C.TIMESTAMP: NOW - 1, C.STARS: None, C.TITLE: None,
         C.TEXT: ""}
        for k, item in enumerate(taken)
    ]  # fmt: skip
    taken = [taken[k] for k in np.argsort(event_order([user] * n, taken))]  # they are of one moment
    other = replace(world, reviews=[*world.reviews, *events]).prepare(fitted=made).history
    expected = other.users_at(other.user_rows([user]), np.array([NOW]))
    before = made.history.users_at(made.history.user_rows([user]), np.array([NOW]))
    found = with_recent(made.history, before, made.history.item_rows(taken))
    assert list(found.recent[0]) == list(made.history.item_rows(taken)) and len(found.take(np.zeros(2, np.int64))) == 2
    for field in fields(UserState):
        if field.name not in ("rows", "global_stats", "sequence"):  # its place; everybody; titles as encoded
            mine, theirs = getattr(found, field.name), getattr(expected, field.name)
            if field.name == "history":
                mine, theirs = ([h.item_ids[r] for r in rows[0]] for h, rows in ((made.history, mine), (other, theirs)))
                assert mine == theirs
            else:
                np.testing.assert_allclose(mine, theirs, atol=1e-5, err_msg=field.name)
