"""What is known about users and items at a moment: the input of every feature."""

from dataclasses import dataclass, fields
from typing import Protocol, Self

from llmrec.features.arrays import Bools, Floats, Floats32, Ints

#: Variants of a text profile, the second axis of `text`: all reviews alike, recent ones more, by stars apart.
TEXT_VARIANTS = ("mean", "recent", "liked", "disliked")


@dataclass(frozen=True)
class _Aligned:
    """Arrays that share their first axis."""

    rows: Ints  # (Q,) History rows; 0 is unknown
    times: Ints  # (Q,) ms: only events strictly before count

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Ints) -> Self:
        """The rows `index`, in that order, possibly repeated."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


@dataclass(frozen=True)
class _Behaviour(_Aligned):
    """W windows of days (config `popularity_days`), V text variants, D text dimensions, M of all vector columns."""

    count: Floats  # (Q,) events
    window: Floats  # (Q, W) events of the last days
    decayed: Floats  # (Q, W) exponentially decayed count, the windows' days being the decay constants
    stars: Floats  # (Q, 3) number of stars given, their sum, the sum of their squares
    global_stats: Floats  # (Q, 4) the same three over everybody's events before t, and the number of events
    first: Ints  # (Q,) ms of the first event; the query's own time where there is none
    last: Ints  # (Q,) ms of the last event; the query's own time where there is none
    text: Floats32  # (Q, V, D) weighted mean of the reviews' vectors, zero where there are none
    text_weight: Floats32  # (Q, V) how much weight stands behind it
    text_last: Floats32  # (Q, D) mean of the last reviews' vectors, config `profile_last`; zero where there are none
    reading: (
        Floats32  # (Q, 2, R) sums of the reviews' readings (`reading/layout.py`), alike and recent more; R = 0: none
    )
    profile: Floats32  # (Q, D) the last profile made before, reduced; zero if none, D = 0: none are made
    profile_since: Ints  # (Q,) ms when it was made; the query's own time where there is none
    events: Floats  # (Q, K, W + 3) of each of K kinds of events: see `KindLog.at`; K = 0: none
    vectors: Floats32  # (Q, M) vector columns side by side: an item's own, a user's mean over past items; zero if none


@dataclass(frozen=True)
class UserState(_Behaviour):
    """Q users, each at a time; L = config `history_length`."""

    history: Ints  # (Q, L) item rows, oldest first, left-padded with 0
    history_times: Ints  # (Q, L) ms; 0 where padded
    history_stars: Floats32  # (Q, L) NaN where padded or without stars
    history_text: Floats32  # (Q, L, D) the items' review profiles as of t
    history_description: Floats32  # (Q, L, D) the items' own texts
    history_attributes: Ints  # (Q, L, A) hashes of brand and categories, 0 where none
    contexts: Ints  # (Q, K) hashes of what is known of the request (device, place), 0 where nothing is
    sequence: Floats32  # (Q, S) text of the last past items' titles as encoded, zero where there are none
    last_vectors: Floats32  # (Q, M) the last past item's own
    attributes: Ints  # (Q, A) hashes of the columns `attribute_NAME`, 0 where none is given
    recent_items: Ints  # (Q, R) items of the last events of any kind, 0 where padded or without one
    recent_kinds: Ints  # (Q, R) kind + 1, 0 where padded
    recent_near: Floats  # (Q, R) 1 for now, a half for a day ago
    recent_values: Floats  # (Q, R) 0 where none
    followed_items: Ints  # (Q, F) what those whom the user follows took, 0 where padded
    followed_near: Floats  # (Q, F) how lately
    follows: Floats  # (Q,) how many the user follows

    @property
    def history_mask(self) -> Bools:
        """(Q, L) True where there is an event."""
        return self.history > 0


@dataclass(frozen=True)
class SessionState(UserState):
    """A state that holds items which no log does: `recent` (Q, R) rows, oldest first, of what was taken just now."""

    recent: Ints


class Counted(Protocol):
    """What popularity is made of: an ItemState has it, and ItemCounts has nothing else."""

    @property
    def count(self) -> Floats: ...

    @property
    def decayed(self) -> Floats: ...

    @property
    def times(self) -> Ints: ...

    @property
    def known_since(self) -> Ints: ...


@dataclass(frozen=True)
class ItemCounts:
    """Of I items, each at a time; see ItemState."""

    count: Floats  # (I,)
    decayed: Floats  # (I, W)
    times: Ints  # (I,) ms
    known_since: Ints  # (I,) ms


@dataclass(frozen=True)
class ItemState(_Behaviour):
    """I items, each at a time."""

    known_since: Ints  # (I,) ms; the query's own time where not known yet
    description: Floats32  # (I, D) vector of the item's own text, zero where it has none
    has_description: Bools  # (I,)
    price: Floats32  # (I,) NaN where unknown
    attributes: Ints  # (I, A) hash of the brand, then of the categories; 0 where none
