"""Families of events of many kinds, and of what those took whom a user follows. Zero stands for "none"."""

from collections.abc import Sequence

import numpy as np

from llmrec.features.arrays import Floats, Ints
from llmrec.features.asof.state import ItemState, UserState


def kind_stats(state: UserState | ItemState, kind: int) -> Floats:
    """(Q, W + 3) log(1 + n) of a kind's events, decayed ones and their values' sum, and how near the last is."""
    found = state.events[:, kind]
    return np.concatenate([np.log1p(np.maximum(found[:, :-1], 0)), found[:, -1:]], axis=1)


def kind_names(kind: str, side: str, days: Sequence[float]) -> list[str]:
    decayed = [f"{kind}_{side}_decayed_{d:g}d" for d in days]
    return [f"{kind}_{side}_events", *decayed, f"{kind}_{side}_value", f"{kind}_{side}_nearness"]


def kind_pair(user: UserState, item: ItemState, kind: int) -> Floats:
    """(N, 4) what the user did to the candidate, among the last events: how often, decayed, values, how near the last.

    `user` has N rows or one.
    """
    mine = _same(user.recent_items, item.rows) & (user.recent_kinds == kind + 1)
    near = np.where(mine, user.recent_near, 0)
    value = np.where(mine, user.recent_values, 0).sum(axis=1)
    latest = near.max(axis=1, initial=0)
    return np.column_stack([np.log1p(mine.sum(axis=1)), near.sum(axis=1), np.log1p(value), latest])


def kind_pair_names(kind: str) -> list[str]:
    return [f"{kind}_pair_{name}" for name in ("events", "decayed", "value", "nearness")]


def followed(user: UserState, item: ItemState) -> Floats:
    """(N, 3) how many of those whom the user follows took the candidate before now, decayed, and as a share."""
    mine = _same(user.followed_items, item.rows)
    n = mine.sum(axis=1)
    near = np.where(mine, user.followed_near, 0).sum(axis=1)
    return np.column_stack([np.log1p(n), near, n / np.maximum(user.follows, 1)])


FOLLOWED_NAMES = ["followed_took", "followed_took_decayed", "followed_share"]


def _same(items: Ints, candidates: Ints) -> np.ndarray:
    """(N, R) where an item (N or 1, R) is the candidate (N,)."""
    return np.asarray((items == candidates[:, None]) & (items > 0))
