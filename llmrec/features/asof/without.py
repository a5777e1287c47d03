"""What would be known of a user had one of their last events not happened: the question behind "because you liked"."""

from dataclasses import replace
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats, Ints
from llmrec.features.asof.entity_log import READINGS, VECTORS
from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.features.asof.vector_layout import VectorLayout
from llmrec.schema import DAY_MS

#: Arrays of the state that hold one entry an event of the history.
_BY_EVENT = ("history", "history_times", "history_stars", "history_text", "history_description", "history_attributes")


def without_event(history: History, user: UserState, place: int) -> UserState:
    """The known user's state (Q = 1) without the event at `place` of `user.history`, nothing moving up for it.

    What items, everybody's events and the last reviews (`text_last`, `sequence`) say stays as it is.
    """
    span = history.users.events.span(user.rows, user.times)
    position = history.users.events.last(span, user.history.shape[1])[0][:, place]
    age = (user.times - user.history_times[:, place]) / DAY_MS
    vector = np.asarray(history.users.rows[VECTORS].take(position), np.float64)  # (1, D + 1): its presence is the last
    changes = _sequences(user, place) | _counts(history, user, place, age)
    changes |= _profiles(history, user, place, age, vector)
    if READINGS in history.users.rows and history.reading_dim:
        decays = np.array([[1.0, np.exp(-age[0] / history.settings.profile_days)]])
        read = history.users.rows[READINGS].take(position)
        changes["reading"] = (user.reading - decays[:, :, None] * read[:, None]).astype(np.float32)
    if history.data.vector_dims:
        changes |= _item_vectors(history, user, changes["history"], place)
    return replace(user, **changes)


def _sequences(user: UserState, place: int) -> dict[str, Any]:
    """The history's entries but one, padded on the left again; when the first and the last event were."""
    rest = np.delete(np.arange(user.history.shape[1]), place)
    changes: dict[str, Any] = {}
    for name in _BY_EVENT:
        values = getattr(user, name)
        padding = np.full_like(values[:, :1], np.nan if name == "history_stars" else 0)
        changes[name] = np.concatenate([padding, values[:, rest]], axis=1)
    times = changes["history_times"][changes["history"] > 0]
    whole = len(times) + 1 == int(user.count[0])  # the history holds every event
    last = times[-1:] if len(times) else user.times
    first = (times[:1] if len(times) else user.times) if whole else user.first
    return changes | {"last": last, "first": first}


def _counts(history: History, user: UserState, place: int, age: Floats) -> dict[str, Any]:
    days, given = np.asarray(history.settings.popularity_days), user.history_stars[:, place]
    some = ~np.isnan(given)
    stars = np.where(some, given, 0).astype(np.float64)
    return {
        "count": user.count - 1,
        "window": user.window - (age[:, None] <= days),
        "decayed": np.maximum(user.decayed - np.exp(-age[:, None] / days), 0),
        "stars": user.stars - np.stack([some, stars, stars**2], axis=1),
    }


def _profiles(history: History, user: UserState, place: int, age: Floats, row: Floats) -> dict[str, Any]:
    """The means of the reviews' vectors, in the order of TEXT_VARIANTS."""
    settings, given = history.settings, user.history_stars[0, place]
    recent = float(np.exp(-age[0] / settings.profile_days))
    weights = np.array([1, recent, given >= settings.liked_from, given <= settings.disliked_to], np.float64)
    weight = np.maximum(user.text_weight - weights * row[:, -1:], 0)
    weight[weight < 1e-9] = 0
    sums = user.text * user.text_weight[:, :, None] - weights[None, :, None] * row[:, None, :-1]
    mean = np.where(weight[:, :, None] > 0, sums / np.where(weight > 0, weight, 1)[:, :, None], 0)
    return {"text": mean.astype(np.float32), "text_weight": weight.astype(np.float32)}


def _item_vectors(history: History, user: UserState, left: Ints, place: int) -> dict[str, Any]:
    """The mean of the past items' vectors, and the last one's."""
    layout, every = VectorLayout(history.data.vector_dims), history.data.vectors_of_items
    past = history.seen(int(user.rows[0]), int(user.times[0])).tolist()
    past.remove(int(user.history[0, place]))
    shown = layout.with_presence(every[np.asarray(past, np.int64)])
    return {"vectors": layout.means(shown.sum(axis=0, dtype=np.float64)[None]), "last_vectors": every[left[:, -1]]}
