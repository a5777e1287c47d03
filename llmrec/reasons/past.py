"""What the score would lose had the user not had an item, not liked it, or not written what they wrote."""

from dataclasses import dataclass, field, replace

import numpy as np

from llmrec.features.asof.state import SessionState, UserState
from llmrec.features.asof.supposed import with_recent, without_event
from llmrec.models.attribution import Doubles
from llmrec.models.base import Floats, Ints
from llmrec.recommender import Recommender


@dataclass(frozen=True)
class Guest:
    """What a request says of somebody new: items liked, then those just taken, rows oldest first; words, and their
    sentences one by one.
    """

    liked: Ints
    vector: Floats | None = None  # (dim,) as the encoder gives it
    sentences: tuple[str, ...] = ()
    vectors: Floats | None = None  # (len(sentences), dim)
    recent: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class PastEffects:
    """How far scores (k,) of listed items fall, against the mean candidate, without one thing; (n, k) each.

    `items` (n,) rows of past items and their `stars`, NaN where there are none; `words` (k,): all that was written;
    `sentences` (S, k): what each alone would add.
    """

    items: Ints
    stars: Floats
    effects: Doubles
    words: Doubles | None = None
    sentences: Doubles | None = None
    recent: Ints | None = None  # which of `items` were taken just now


def effects_of_events(recommender: Recommender, user: UserState, rows: Ints, listed: Ints, time: int) -> PastEffects:
    """Of each of the last events of a known user (Q = 1), or of a session's. `listed`: places among `rows`.

    Both with and without the event the user is asked for without their id, whose embedding knows the whole past.
    """
    if isinstance(user, SessionState):
        return _effects_of_session(recommender, user, rows, listed, time)
    places = np.flatnonzero(user.history[0] > 0)
    if recommender.history.users.events.span(user.rows, user.times).count[0] != user.count[0]:
        places = places[:0]  # events that lie in no log cannot be taken away
    whole = _relative(recommender, _anonymous(user), rows, listed, time) if len(places) else np.zeros(len(listed))
    without = [
        _relative(recommender, _anonymous(without_event(recommender.history, user, int(p))), rows, listed, time)
        for p in places
    ]
    effects = whole - np.array(without).reshape(len(places), len(listed))
    return PastEffects(user.history[0, places], user.history_stars[0, places], effects)


def _effects_of_session(
    recommender: Recommender, user: SessionState, rows: Ints, listed: Ints, time: int
) -> PastEffects:
    """Of each of the items that somebody known took just now."""
    history, items = recommender.history, user.recent[0]
    tried = items[-history.settings.history_length :]
    before = _anonymous(history.users_at(user.rows, user.times, user.contexts))
    whole = _relative(recommender, _anonymous(user), rows, listed, time)
    without = [
        _relative(recommender, _anonymous(with_recent(history, before, items[items != item])), rows, listed, time)
        for item in tried
    ]
    effects = whole - np.array(without).reshape(len(tried), len(listed))
    return PastEffects(tried, np.full(len(tried), np.nan, np.float32), effects, recent=tried)


def effects_of_guest(
    recommender: Recommender, guest: Guest, contexts: Ints, rows: Ints, listed: Ints, time: int
) -> PastEffects:
    """Of each liked item and of the words of somebody new, who asks in the `contexts` (1, K)."""

    def relative(liked: Ints, vector: Floats | None) -> Doubles:
        state = recommender.history.cold_start_state(liked, vector, time, contexts)
        return _relative(recommender, state, rows, listed, time)

    had = np.concatenate([guest.liked, guest.recent])
    whole = relative(had, guest.vector)
    kept = had[-recommender.history.settings.history_length :]
    without = [relative(had[had != item], guest.vector) for item in kept]
    effects = whole - np.array(without).reshape(len(kept), len(listed))
    found = PastEffects(kept, np.full(len(kept), np.nan, np.float32), effects, recent=guest.recent)
    if guest.vector is None:
        return found
    silent = relative(had, None)
    alone = None
    if guest.vectors is not None:
        alone = np.array([relative(had, vector) - silent for vector in guest.vectors])
    return replace(found, words=whole - silent, sentences=alone)


def _anonymous(user: UserState) -> UserState:
    return replace(user, rows=np.zeros(1, np.int64))


def _relative(recommender: Recommender, user: UserState, rows: Ints, listed: Ints, time: int) -> Doubles:
    """(k,) scores of the listed less the candidates' mean."""
    scores = recommender.score(recommender.blend_columns(user, rows, time)).astype(np.float64)
    return np.asarray(scores[listed] - scores.mean())
