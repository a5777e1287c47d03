"""A state without an event is the state of a corpus without the review."""

import numpy as np
import pytest
from factories.features import START, World

from llmrec.features.asof.without import without_event
from llmrec.schema import DAY_MS
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
