"""The family of profiles: what the user is said to like beside what the item is liked for, and how old both are."""

from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.text import description, dot, profile, unit
from llmrec.schema import DAY_MS

NAMES = [
    "profiles_cosine", "user_profile_item_reviews", "user_profile_item_description", "user_reviews_item_profile",
    "user_profile_made", "item_profile_made", "user_profile_age", "item_profile_age",
]  # fmt: skip


def similarities(user: UserState, item: ItemState) -> Floats:
    """(N, 8) cosines, 0 where there is no profile; whether there is one; how old each is, log of 1 + days.

    `user` has N rows or one.
    """
    mine, theirs = unit(user.profile), unit(item.profile)
    columns: list[npt.NDArray[Any]] = [
        dot(mine, theirs), dot(mine, profile(item, "mean")), dot(mine, description(item)),
        dot(profile(user, "mean"), theirs), _made(user), _made(item), _age(user), _age(item),
    ]  # fmt: skip
    return np.column_stack([np.broadcast_to(c, len(item)) for c in columns]).astype(np.float64)


def _made(state: UserState | ItemState) -> Floats:
    return np.asarray(state.profile_since < state.times, np.float64)


def _age(state: UserState | ItemState) -> Floats:
    return np.asarray(np.log1p((state.times - state.profile_since) / DAY_MS))
