"""One fold: until when it learns, its splits, and which rows reductions are fitted on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints
from llmrec.features.asof.events import NEVER, n_before
from llmrec.features.asof.history_data import SEQUENCE, TEXT, HistoryData
from llmrec.features.transforms.projection import Kind
from llmrec.schema import Column as C

Fold = Literal["validation", "test"]


def learned_until(fold: Fold, t1: int, t2: int) -> int:
    """The cut-off (ms) before which everything is learned."""
    return t1 if fold == "validation" else t2


def labelled_until(fold: Fold, split: str, t1: int, t2: int) -> int:
    """The moment (ms) from which on nothing labels a split's clicks; of a test all that is known does."""
    if split == "train":
        return learned_until(fold, t1, t2)
    return t2 if split == "validation" else NEVER


def splits_of(data: HistoryData, fold: Fold, t1: int, t2: int) -> dict[str, tuple[int, int]]:
    """The outcomes, from and to, of train and of the fold's other split: numbers among those asked for."""
    asked = data.times[data.outcomes]
    first, second = n_before(asked, np.array([t1, t2])).tolist()
    if fold == "validation":
        return {"train": (0, first), "validation": (first, second)}
    return {"train": (0, second), "test": (second, len(asked))}


@dataclass(frozen=True)
class FitRows:
    """Where rows stand among the rows that reductions are fitted on; −1: not among them.

    Of reviews, in order of events, these are the first ones; of items, those known before the cut-off.
    """

    n_reviews: int
    items: Ints  # (n_items,) by row of their table

    @classmethod
    def of(cls, data: HistoryData, items: pa.Table, until: int) -> "FitRows":
        """An item is known from its date, and from its first review."""
        n_reviews = int(np.searchsorted(data.times, until))
        known = data.available_from < until
        known[data.item_rows[:n_reviews]] = True
        mine = known[data.item_ids.rows_of(items[C.ITEM_ID])]
        return cls(n_reviews, np.where(mine, np.cumsum(mine) - 1, -1))

    @property
    def n_items(self) -> int:
        return int((self.items >= 0).sum())

    def total(self, name: str) -> int:
        """How many rows the reduction `name` is fitted on."""
        by_name = {TEXT: self.n_reviews + self.n_items, SEQUENCE: self.n_reviews}
        return by_name.get(name, self.n_items)

    def of_rows(self, name: str, kind: Kind, numbers: Ints) -> Ints:
        """(n,) places of rows of a kind, given their numbers; of texts, items follow reviews."""
        if kind == "review":
            return np.where(numbers < self.n_reviews, numbers, -1)
        mine = self.items[numbers]
        return np.where(mine >= 0, mine + self.n_reviews, -1) if name == TEXT else mine
