"""Families of what a reader read: sentiment, aspects, and what the user cares about x how the item is judged for it."""

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Floats32
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.text import unit
from llmrec.reading.layout import PLACES
from llmrec.reading.reading import INTENTS
from llmrec.reading.text.words import CATEGORIES

PREFIX = "text_read_"
#: Reviews without a word for or against, added to every share: little that was read says little.
PRIOR = 3.0
_ALL, _RECENT = 0, 1


def scalars(state: UserState | ItemState) -> Floats:
    """(Q, 6 + intents) how much was read, its sentiment, of late too, and shares of classes and intents."""
    number, recent = (state.reading[:, v, PLACES["read"]] for v in (_ALL, _RECENT))
    sentiment, late = (state.reading[:, v, PLACES["sentiment"]] for v in (_ALL, _RECENT))
    shares = np.concatenate([sentiment, state.reading[:, _ALL, PLACES["intents"]]], axis=1) / (number + PRIOR)
    return np.concatenate(
        [np.log1p(number), np.log1p(recent), shares, late[:, :1] / (recent + PRIOR)], axis=1, dtype=np.float64
    )


SCALAR_NAMES = [
    "reviews_read", "reviews_read_decayed", "sentiment", "negative", "positive", *(f"intent_{i}" for i in INTENTS),
    "sentiment_recent",
]  # fmt: skip


def aspects(state: UserState | ItemState) -> Floats:
    """(Q, 2 C) share of the reviews that speak of each aspect, and how each is judged: praise less blame."""
    number = state.reading[:, _ALL, PLACES["read"]] + PRIOR
    spoken, praised, blamed = (state.reading[:, _ALL, PLACES[n]] for n in ("spoken", "praised", "blamed"))
    return np.concatenate([spoken, praised - blamed], axis=1, dtype=np.float64) / number


def aspect_names(side: str) -> list[str]:
    return [f"{side}_{what}_{category}" for what in ("speaks_of", "judges") for category in CATEGORIES]


def match(user: UserState, item: ItemState) -> Floats:
    """(N, 8) what the user speaks of, as a direction, on how the item is judged, aspect by aspect; then attributes and
    topics. `user` has N rows or one; 0 where nothing was read of either."""
    care = unit(_part(user, "spoken"))
    number = _part(item, "read") + PRIOR
    praise, blame = _part(item, "praised") / number, _part(item, "blamed") / number
    liked = _part(user, "liked_attributes")
    offered = unit(_part(item, "attributes"))
    columns = [
        _dot(care, praise), _dot(care, blame), _dot(care, praise - blame), (care * (praise - blame)).max(axis=1),
        _dot(care, unit(_part(item, "spoken"))),
        _dot(unit(np.maximum(liked, 0)), offered), _dot(unit(np.maximum(-liked, 0)), offered),
        _dot(unit(_part(user, "topics")), unit(_part(item, "topics"))),
    ]  # fmt: skip
    return np.column_stack([np.broadcast_to(c, len(item)) for c in columns]).astype(np.float64)


MATCH_NAMES = [
    "cares_praised", "cares_blamed", "cares_judged", "cares_judged_best", "aspects_shared", "attributes_liked",
    "attributes_disliked", "topics_shared",
]  # fmt: skip


def _part(state: UserState | ItemState, name: str) -> Floats32:
    return state.reading[:, _ALL, PLACES[name]]


def _dot(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    return np.asarray((a * b).sum(axis=1), np.float64)
