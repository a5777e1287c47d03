"""Items in one order for everybody, from which each request takes the first that it may be given."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import neg
from typing import Self

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Floats, Ints
from llmrec.models.topk import top_rows

_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class FixedOrder:
    """`rows` (n,) of all items by falling `scores` (n,); `by_row` (n,) the same scores by row."""

    rows: Ints
    scores: Floats
    by_row: Floats

    @classmethod
    def of(cls, scores: Floats) -> Self:
        """From scores (n,) by row."""
        rows = np.argsort(-scores, kind="stable")
        return cls(rows, scores[rows], scores)

    def best(
        self, among: ItemSet, barred: Sequence[Ints], k: int, user_hash: _Hashes, item_hash: _Hashes
    ) -> tuple[Ints, Floats]:
        """Rows (Q, k) and scores (Q, k): what `top_k` gives for these scores, of `among` less `barred` (Q,)."""
        found = [self._best(among, mine, k, user_hash[q : q + 1], item_hash) for q, mine in enumerate(barred)]
        return np.concatenate([rows for rows, _ in found]), np.concatenate([scores for _, scores in found])

    def _best(
        self, among: ItemSet, barred: Ints, k: int, user_hash: _Hashes, item_hash: _Hashes
    ) -> tuple[Ints, Floats]:
        stop = 2 * (k + len(barred))
        while (listed := self._listed(stop, among, barred)).sum() < k and stop < len(self.rows):
            stop *= 4
        if listed.sum() >= k:  # whoever equals the last one may be it
            last = self.scores[np.flatnonzero(listed)[k - 1]]
            stop = bisect_right(self.scores, -last, key=neg)
            listed = self._listed(stop, among, barred)
        scores = np.where(listed, self.scores[:stop], np.float32(-np.inf))
        return top_rows(self.rows[None, :stop], scores[None], k, user_hash, item_hash)

    def _listed(self, stop: int, among: ItemSet, barred: Ints) -> npt.NDArray[np.bool_]:
        """Which of the first rows, `stop` or as many as there are, may be given."""
        first = self.rows[:stop]
        return among.held[first] & ~np.isin(first, barred)
