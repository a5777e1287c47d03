"""Parts of the queries in which models may differ: who asks, what is asked for, how much text there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.evaluation.data.folds import Fold
from llmrec.features.asof.interactions import Ints
from llmrec.schema import DAY_MS

Mask = npt.NDArray[np.bool_]
_HISTORY = ((0, 0), (1, 1), (2, 4), (5, 9), (10, None))
_CHARACTERS = ((0, 0), (1, 499), (500, 1_999), (2_000, None))
_HEAD_SHARE = 0.2
_KNOWN_DAYS = ((0, 29), (30, 179), (180, None))
BLOCKBUSTERS = "share of the queries"
#: An item that so large a share of the queries asks for.
BLOCKBUSTER_SHARE = 0.05


@dataclass(frozen=True)
class SliceMask:
    """`mask` (Q,): the queries of one slice.

    `fixed_items`: it is about these very items, not about others like them; `fixed_rest`: so is what lies outside it.
    """

    by: str
    level: str
    mask: Mask
    fixed_items: bool = False
    fixed_rest: bool = False


def slices(fold: Fold, languages: Mapping[int, str] | None = None, text_length: Ints | None = None) -> list[SliceMask]:
    """The non-empty slices of the fold's queries, each by its first relevant item.

    `languages`: event row -> language code of that event's text; `text_length` (Q,): characters of the relevant
    item's reviews before the query's time.
    """
    q = fold.queries
    target = q.item[q.indptr[:-1]]
    found = _ranges("history length", fold.as_of.history_lengths(q.user, q.time), _HISTORY)
    found += _users(fold) + _items(fold, target) + _blockbusters(target)
    if fold.information_set == "point_in_time":
        days = np.maximum(q.time - fold.data.known_from[target], 0) // DAY_MS
        found += _ranges("item known for, days", days, _KNOWN_DAYS)
    if text_length is not None:
        found += _ranges("item text, characters", text_length, _CHARACTERS)
    if languages:
        code = np.array([languages.get(int(e), "none") for e in q.event[q.indptr[:-1]]])
        found += [SliceMask("language", str(c), code == c) for c in np.unique(code)]
    return [s for s in found if s.mask.any()]


def _ranges(by: str, values: Ints, ranges: Sequence[tuple[int, int | None]]) -> list[SliceMask]:
    out = []
    for low, high in ranges:
        level = f"{low}+" if high is None else str(low) if low == high else f"{low}–{high}"
        out.append(SliceMask(by, level, (values >= low) & (values <= (high if high is not None else values.max()))))
    return out


def _users(fold: Fold) -> list[SliceMask]:
    trained = np.bincount(fold.data.user[fold.train], minlength=fold.data.n_users)[fold.queries.user] > 0
    return [SliceMask("user", "in training", trained), SliceMask("user", "new", ~trained)]


def _items(fold: Fold, target: Ints) -> list[SliceMask]:
    """Head: the most reviewed fifth of the items of training; tail: its other items; new: items it never saw."""
    count = np.bincount(fold.data.item[fold.train], minlength=fold.data.n_items)
    order = np.argsort(-count, kind="stable")
    head = np.zeros(fold.data.n_items, bool)
    head[order[: int(np.ceil(_HEAD_SHARE * (count > 0).sum()))]] = True
    new = count[target] == 0
    return [
        SliceMask("item", "head", head[target] & ~new),
        SliceMask("item", "tail", ~head[target] & ~new),
        SliceMask("item", "new", new),
    ]


def _blockbusters(target: Ints) -> list[SliceMask]:
    """The items that many queries each ask for, and all others; none where no item is so large."""
    large = np.bincount(target) > BLOCKBUSTER_SHARE * len(target)
    if not large.any():
        return []
    mask = large[target]
    return [
        SliceMask(BLOCKBUSTERS, "blockbusters", mask, fixed_items=True),
        SliceMask(BLOCKBUSTERS, "all other items", ~mask, fixed_rest=True),
    ]
