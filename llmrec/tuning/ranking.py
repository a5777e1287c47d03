"""Ranking by text alone: a user is the mean of the reviews they liked before, an item its own text. Without Ray."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.tuning.texts import Ints, TuningTexts

Floats = npt.NDArray[np.float64]
_CANDIDATES = 1000


@dataclass(frozen=True)
class TextQueries:
    """Q likes of users who liked something before: what their reviews and had items were by then."""

    history: list[Ints]  # (Q,) rows of reviews that the user liked strictly before
    had: list[Ints]  # (Q,) items
    target: Ints  # (Q,) item
    candidates: Ints  # items that are ranked, targets among them
    reviews: Ints  # rows of all reviews in `history`
    user: Ints  # (Q,)

    def __len__(self) -> int:
        return len(self.target)


def text_queries(texts: TuningTexts, first: int, n: int, seed: int, history: int = 5, new: bool = False) -> TextQueries:
    """At most `n` likes among the reviews from row `first` on, with the user's `history` latest likes before each.

    Targets have a text. `new`: only items that nobody reviewed before row `first` are asked for, or ranked. Where there
    are more than 1,000 items, as many random ones are candidates.
    """
    rng = np.random.default_rng([seed, 1])
    order = np.lexsort((np.arange(texts.n_reviews), texts.user))
    starts = np.searchsorted(texts.user[order], np.arange(texts.user.max(initial=-1) + 2))
    written = np.array([bool(t.strip()) for t in texts.texts], np.bool_)
    found: list[tuple[int, Ints, Ints]] = []
    ranked = written[texts.n_reviews :]
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
    histories = [liked for _, liked, _ in found]
    reviews = np.unique(np.concatenate([*histories, np.empty(0, np.int64)])).astype(np.int64)
    return TextQueries(histories, [had for _, _, had in found], target, items, reviews, texts.user[rows])


def ndcg(
    reviews: npt.NDArray[np.floating], items: npt.NDArray[np.floating], queries: TextQueries, k: int = 10
) -> Floats:
    """(Q,) NDCG@k, the one relevant item being the target; equal scores are to its harm.

    `reviews` (len(queries.reviews), d) and `items` (len(queries.candidates), d): vectors of length one.
    """
    users = np.stack([reviews[np.searchsorted(queries.reviews, rows)].mean(0) for rows in queries.history])
    return ndcg_of_scores(users @ items.T, queries, k)


def ndcg_of_scores(scores: npt.NDArray[np.floating], queries: TextQueries, k: int = 10) -> Floats:
    """The same of any scores (Q, len(queries.candidates)); what was had is left out."""
    scores = np.array(scores, np.float64)
    for row, had in enumerate(queries.had):
        scores[row, np.isin(queries.candidates, had)] = -np.inf
    at = np.searchsorted(queries.candidates, queries.target)
    own = scores[np.arange(len(scores)), at][:, None]
    rank = (scores >= own).sum(1)
    return np.where(rank <= k, 1 / np.log2(1 + rank), 0.0)
