"""Context of a request: what it says, what training knew, what an evaluation asks with."""

from pathlib import Path

import numpy as np
import pytest
from factories.features import DEVICE, START, T2, Prepared, World

from llmrec.features.asof.history import History


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return World.random().prepare()


def features_of(prepared: Prepared, contexts: np.ndarray | None) -> np.ndarray:
    """(n, values) of the family, of one user asking in each context."""
    n = 1 if contexts is None else len(contexts)
    user = prepared.history.users_at(np.full(n, 3), np.full(n, T2), contexts)
    places = [c.family == "context_columns" for c in prepared.spec.user_columns]
    return prepared.spec.user_features(user)[:, places]


def test_values_are_those_of_training_the_most_frequent_first(prepared: Prepared) -> None:
    assert prepared.spec.learned.context_names == ("device=web", "device=mobile")
    names = [c.name for c in prepared.spec.user_columns if c.family == "context_columns"]
    assert names == ["device=web", "device=mobile"]
    world = World.random()
    few = World(world.reviews, world.items, world.settings.model_copy(update={"context_values": 1})).prepare()
    assert few.spec.learned.context_names == ("device=web",)


def test_a_request_says_it_and_what_is_unknown_or_absent_is_zero(prepared: Prepared) -> None:
    asked = prepared.history.request_contexts
    web, mobile = (features_of(prepared, asked({"device": v}))[0] for v in ("web", "mobile"))
    assert web[0] > web[1] and mobile[1] > mobile[0]
    for nothing in (None, asked({}), asked({"device": "fridge"}), asked({"place": "web"}), asked({"device": ""})):
        assert not features_of(prepared, nothing).any()


def test_a_guest_may_say_it_too(prepared: Prepared) -> None:
    asked = prepared.history.request_contexts({"device": "web"})
    guest = prepared.history.cold_start_state(np.array([2]), None, T2, asked)
    np.testing.assert_array_equal(guest.contexts, asked)
    assert not prepared.history.cold_start_state(np.array([2]), None, T2).contexts.any()


def test_an_evaluation_asks_in_the_context_of_the_first_event_at_that_time(prepared: Prepared, tmp_path: Path) -> None:
    prepared.history.save(str(tmp_path))
    for history in (prepared.history, History.load(str(tmp_path))):
        data = history.data
        found = history.contexts_at(data.user_rows, data.times)
        for e, (user, time) in enumerate(zip(data.user_rows, data.times, strict=True)):
            first = np.flatnonzero((data.user_rows == user) & (data.times == time))[0]
            np.testing.assert_array_equal(found[e], data.contexts[first])
        last = np.array([len(history.user_ids) - 1, 0])
        assert not history.contexts_at(last, np.array([2**60, START])).any()


def test_a_corpus_without_contexts_has_no_such_family() -> None:
    world = World.random()
    bare = World([r | {DEVICE: None} for r in world.reviews], world.items, world.settings).prepare()
    assert "context_columns" not in bare.spec.families
