"""Ranking by text alone: a user is the mean of the reviews they liked before, an item its own text, or, where it has
none, the mean of the latest that were written of it before. Without Ray."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from llmrec.tuning.texts import Ints, TuningTexts

Floats = npt.NDArray[np.float64]
_CANDIDATES = 1000


@dataclass(frozen=True)
class TextQueries:
    """Q likes of users who liked something before: what their reviews and had items were by then. Rows are of texts."""

    history: list[Ints]  # (Q,) rows of reviews that the user liked strictly before
    had: list[Ints]  # (Q,) items
    target: Ints  # (Q,) item
    candidates: Ints  # (C,) items that are ranked, targets among them
    told: list[Ints]  # (C,) rows of what is known of each: its own text, or reviews of it
    user: Ints  # (Q,)
    asked: Ints  # (Q,) rows of the likes themselves

    def __len__(self) -> int:
        return len(self.target)

    @property
    def rows(self) -> Ints:
        """All texts that are read, each once, in order."""
        return np.unique(np.concatenate([*self.history, *self.told, np.empty(0, np.int64)])).astype(np.int64)


def text_queries(texts: TuningTexts, first: int, n: int, seed: int, history: int = 5, new: bool = False) -> TextQueries:
    """At most `n` likes among the reviews from row `first` on, with the user's `history` latest likes before each.

    Targets have a text, or reviews before row `first`, of which the `history` latest are read. `new`: only items that
    nobody reviewed before are asked for, or ranked. Where there are more than 1,000 items, as many random ones are
    candidates.
    """
    rng = np.random.default_rng([seed, 1])
    order = np.lexsort((np.arange(texts.n_reviews), texts.user))
    starts = np.searchsorted(texts.user[order], np.arange(texts.user.max(initial=-1) + 2))
    written = np.array([bool(t.strip()) for t in texts.texts], np.bool_)
    found: list[tuple[int, Ints, Ints]] = []
    told = _told(texts, written, first, history)
    ranked = np.array([bool(len(rows)) for rows in told], np.bool_)
    if new:
        ranked = ranked & ~np.isin(np.arange(texts.n_items), texts.item[:first])
    asked = first + np.flatnonzero(texts.liked[first:] & ranked[texts.item[first:]])
    for row in rng.permutation(asked):
        mine = order[starts[texts.user[row]] : starts[texts.user[row] + 1]]
        mine = mine[texts.time[mine] < texts.time[row]]
        liked = mine[texts.liked[mine] & written[mine]][-history:]
        if len(liked) and texts.item[row] not in texts.item[mine]:
            found.append((int(row), liked, texts.item[mine]))
        if len(found) == n:
            break
    rows = np.array([row for row, _, _ in found], np.int64)
    target, items = texts.item[rows], np.flatnonzero(ranked)
    if len(items) > _CANDIDATES:
        items = np.union1d(rng.choice(items, _CANDIDATES, replace=False), target)
    histories, had = [liked for _, liked, _ in found], [items_had for _, _, items_had in found]
    return TextQueries(histories, had, target, items, [told[i] for i in items], texts.user[rows], rows)


def _told(texts: TuningTexts, written: npt.NDArray[np.bool_], first: int, n: int) -> list[Ints]:
    """(I,) rows of what is known of each item before row `first`: its own text, else its `n` latest written reviews."""
    order = np.lexsort((np.arange(first), texts.item[:first]))
    order = order[written[order]]
    ends = np.searchsorted(texts.item[order], np.arange(texts.n_items + 1))
    reviews = (order[a:b][-n:] for a, b in pairwise(ends))
    own = texts.n_reviews + np.arange(texts.n_items)
    return [np.array([row]) if written[row] else rows for row, rows in zip(own, reviews, strict=True)]


def text_scores(vectors: npt.NDArray[np.floating], queries: TextQueries) -> Floats:
    """(Q, C) products of users with candidates, means of vectors of length one; `vectors` (len(queries.rows), d)."""
    if not len(queries):
        return np.zeros((0, len(queries.candidates)))
    rows = queries.rows
    users, items = (
        np.stack([vectors[np.searchsorted(rows, some)].mean(0) for some in sides])
        for sides in (queries.history, queries.told)
    )
    return np.asarray(users @ (items / np.maximum(np.linalg.norm(items, axis=1, keepdims=True), 1e-12)).T, np.float64)


def ndcg_at(ranks: Ints, k: int = 10) -> Floats:
    """(Q,) NDCG@k, the one relevant item being the target."""
    return np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)


def ranks_of(scores: npt.NDArray[np.floating], queries: TextQueries) -> Ints:
    """(Q,) place of the target by scores (Q, C), from 1; equal ones are to its harm, what was had is left out."""
    scores = np.array(scores, np.float64)
    for row, had in enumerate(queries.had):
        scores[row, np.isin(queries.candidates, had)] = -np.inf
    at = np.searchsorted(queries.candidates, queries.target)
    own = scores[np.arange(len(scores)), at][:, None]
    return np.asarray((scores >= own).sum(1), np.int64)
