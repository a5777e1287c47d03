"""Explicit crosses of a user with a candidate: products that a linear model could not form by itself."""

import numpy as np

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats, Floats32, Ints
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.behaviour import days_between, stars
from llmrec.features.families.text import profile

_USER_SCALARS = ("events", "days_since_last", "stars_above_world", "stars_spread")
_ITEM_SCALARS = ("events", "days_known", "stars_above_world", "stars_spread")
POLYNOMIAL_NAMES = [f"user_{u}_x_item_{i}" for u in _USER_SCALARS for i in _ITEM_SCALARS]
#: Past events, and attributes of each item (the brand first), that enter the hashed cross.
_PAST, _ATTRIBUTES = 5, 3


def polynomial(user: UserState, item: ItemState) -> Floats:
    """(N, 16) products of four scalars of the user with four of the item; `user` has N rows or one."""
    mine = np.column_stack([np.log1p(user.count), days_between(user.last, user.times), stars(user)[:, :2]])
    theirs = np.column_stack([np.log1p(item.count), days_between(item.known_since, item.times), stars(item)[:, :2]])
    products: Floats = (mine[:, :, None] * theirs[:, None, :]).reshape(len(item), -1)
    return products


def hashed(user: UserState, item: ItemState, buckets: int) -> Floats:
    """(N, buckets) pairs (attribute of a recent item, attribute of the candidate), hashed with a sign and summed.

    The signed hashing trick of Weinberger et al. (ICML 2009): collisions cancel in expectation.
    """
    past = user.history_attributes[:, -_PAST:, :_ATTRIBUTES].reshape(len(user), -1)
    crossed = np.zeros((len(item), buckets))
    rows = np.arange(len(item))
    for mine in past.T:
        for theirs in item.attributes[:, :_ATTRIBUTES].T:
            mixed = _mixed(mine, theirs)
            sign = np.where(mixed >> np.uint64(63) == 0, 1.0, -1.0)
            real = (mine > 0) & (theirs > 0)
            crossed[rows, (mixed % np.uint64(buckets)).astype(np.int64)] += sign * real
    return crossed


def _mixed(mine: Ints, theirs: Ints) -> np.ndarray[tuple[int, ...], np.dtype[np.uint64]]:
    """A hash of each ordered pair of hashes."""
    mixed = mine.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + theirs.astype(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(32))


def rank(settings: FeaturesConfig, text_dim: int) -> int:
    """Dimensions of the low-rank cross."""
    return min(settings.cross_columns, text_dim)


def low_rank(user: UserState, item: ItemState, n: int) -> Floats32:
    """(N, n) diagonal of the outer product of both review profiles on the n leading axes of the projection."""
    return profile(user, "mean")[:, :n] * profile(item, "mean")[:, :n]
