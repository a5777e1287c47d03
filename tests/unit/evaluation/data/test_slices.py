"""Slices of a few queries that fit in the head."""

import numpy as np

from llmrec.evaluation.data.protocols import temporal
from llmrec.evaluation.data.slices import BLOCKBUSTERS, slices
from llmrec.features.asof.interactions import Interactions

#: Training ends before day 10. Item a has six events there, b to e one each; f is new. Of the users, new is.
EVENTS = [
    *((user, "a", day) for day, user in enumerate("uvwxyz", start=1)),
    ("u", "b", 7), ("u", "c", 8), ("v", "d", 8), ("v", "e", 9),
    ("w", "a", 10), ("u", "b", 11), ("new", "f", 12), ("new", "a", 13), ("x", "f", 14),
]  # fmt: skip


def found(text_length: np.ndarray | None = None, languages: dict[int, str] | None = None) -> dict[str, dict[str, str]]:
    """by -> level -> the queries' users, in order of time."""
    users, items, days = zip(*EVENTS, strict=True)
    data = Interactions.from_arrays(users, items, np.array(days))
    fold = temporal(data, 5, 10).test
    asked = [data.user_ids[u] for u in fold.queries.user]
    out: dict[str, dict[str, str]] = {}
    for s in slices(fold, languages, text_length):
        out.setdefault(s.by, {})[s.level] = " ".join(np.array(asked)[s.mask])
    return out


def test_history_counts_what_lies_before_the_query() -> None:
    assert found()["history length"] == {"0": "new", "1": "w new x", "2–4": "u"}


def test_items_are_head_tail_or_new_by_the_events_of_training() -> None:
    assert found()["item"] == {"head": "w new", "tail": "u", "new": "new x"}  # f stays new: x's is its second event


def test_users_are_new_where_training_did_not_have_them() -> None:
    assert found()["user"] == {"in training": "w u x", "new": "new new"}


def test_texts_fall_into_one_range_each_and_empty_slices_are_left_out() -> None:
    lengths = np.array([0, 499, 500, 2_000, 90_000])
    assert found(lengths)["item text, characters"] == {
        "0": "w", "1–499": "u", "500–1999": "new", "2000+": "new x",
    }  # fmt: skip
    assert "language" not in found()


def test_languages_are_those_of_the_queries_own_events() -> None:
    users, items, days = zip(*EVENTS, strict=True)
    assert len(Interactions.from_arrays(users, items, np.array(days))) == 15  # the queries are events 10 to 14
    assert found(languages={10: "en", 12: "de", 14: "en", 0: "fr"})["language"] == {
        "de": "new", "en": "w x", "none": "u new",
    }  # fmt: skip


def test_blockbusters_are_the_items_that_many_queries_ask_for() -> None:
    users, items = zip(*[(f"u{n}", "hit" if n % 4 == 0 else f"i{n}") for n in range(100)], strict=True)
    fold = temporal(Interactions.from_arrays(users, items, np.arange(100)), 5, 20).test
    found = {s.level: s for s in slices(fold) if s.by == BLOCKBUSTERS}
    assert found["blockbusters"].mask.sum() == 20 and found["blockbusters"].fixed_items  # 20, 24, … 96 of 80 queries
    assert (found["all other items"].mask == ~found["blockbusters"].mask).all()
    assert found["all other items"].fixed_rest and not found["all other items"].fixed_items
    few = temporal(Interactions.from_arrays([*users], [f"i{n}" for n in range(100)], np.arange(100)), 5, 20).test
    assert BLOCKBUSTERS not in {s.by for s in slices(few)}


def test_an_item_is_as_old_as_the_query_finds_it() -> None:
    day = 86_400_000
    events = [("u", "a", 0), ("v", "a", 29), ("w", "a", 30), ("x", "a", 179), ("y", "a", 180), ("z", "b", 181)]
    users, items, days = zip(*events, strict=True)
    fold = temporal(Interactions.from_arrays(users, items, np.array(days) * day), 5 * day, 20 * day).test
    found = {s.level: s.mask.tolist() for s in slices(fold) if s.by == "item known for, days"}
    assert found == {
        "0–29": [True, False, False, False, True],  # b is not known before its own event
        "30–179": [False, True, True, False, False],
        "180+": [False, False, False, True, False],
    }
