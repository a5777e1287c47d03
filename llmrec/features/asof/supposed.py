"""What would be known of a user had something else happened: one of their last events not, or a session's just now.

The first is the question behind "because you liked"; the second an answer to what somebody is looking at.
"""

from dataclasses import fields, replace
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats, Floats32, Ints
from llmrec.features.asof.events import Span
from llmrec.features.asof.history import History
from llmrec.features.asof.logs.entity_log import COLUMNS, READINGS, VECTORS
from llmrec.features.asof.logs.vector_layout import VectorLayout
from llmrec.features.asof.state import SessionState, UserState
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


def with_recent(history: History, user: UserState, items: Ints) -> SessionState:
    """The state (Q = 1) of a user after further events of `items` (n,), oldest first, without stars and words.

    They count as of the last moment before the request, one millisecond ago; what everybody did stays as it is.
    """
    now, days = user.times - 1, np.asarray(history.settings.popularity_days)
    span, last = history.users.events.span(user.rows, user.times), history.settings.profile_last - len(items)
    length = user.history.shape[1]
    kept = items[len(items) - min(len(items), length) :]

    def pushed(values: Any, new: Any) -> Any:
        joined = np.concatenate([values, np.broadcast_to(new, (1, len(kept))).astype(values.dtype)], axis=1)
        return joined[:, len(kept) :]

    changes = history.about_items(pushed(user.history, kept), user.times) | {
        "history_times": pushed(user.history_times, now),
        "history_stars": pushed(user.history_stars, np.nan),
        "count": user.count + len(items),
        "window": user.window + len(items),
        "decayed": user.decayed + len(items) * np.exp(-1 / (days * DAY_MS)),
        "first": np.where(user.count > 0, user.first, now),
        "last": now,
        "vectors": _mean_vectors(history, span, items),
        "text_last": history.last_profile(history.users, span, last),
    }
    known = {field.name: getattr(user, field.name) for field in fields(UserState)}
    return SessionState(**known | changes, recent=np.asarray(items)[None])


def _mean_vectors(history: History, span: Span, items: Ints) -> Floats32:
    """(1, M) means of the past items' vectors, the new ones among them; of a user whom no log knows the new ones'."""
    layout = VectorLayout(history.data.vector_dims)
    sums = layout.with_presence(history.data.vectors_of_items[items]).sum(axis=0, dtype=np.float64)[None]
    if COLUMNS in history.users.sums:
        sums = sums + history.users.sums[COLUMNS].at(span)[:, 0]
    return layout.means(sums)
