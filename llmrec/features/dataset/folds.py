"""One fold: what is learned until when, its splits, and the fit of its spec."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints, vectors_of
from llmrec.features.asof.events import n_before
from llmrec.features.asof.history import History
from llmrec.features.asof.history_data import SEQUENCE, TEXT, HistoryData
from llmrec.features.dataset.examples import Clicks, example_table
from llmrec.features.dataset.negatives import NegativeSampler
from llmrec.features.dataset.spec import FIT_ROWS, FeatureSpec
from llmrec.features.families.registry import Side
from llmrec.features.transforms.projection import Kind
from llmrec.schema import Column as C

Fold = Literal["validation", "test"]


def learned_until(fold: Fold, t1: int, t2: int) -> int:
    """The cut-off (ms) before which everything is learned."""
    return t1 if fold == "validation" else t2


def splits_of(data: HistoryData, fold: Fold, t1: int, t2: int) -> dict[str, tuple[int, int]]:
    """The events, from and to, of train and of the fold's other split."""
    first, second = n_before(data.times, np.array([t1, t2])).tolist()
    if fold == "validation":
        return {"train": (0, first), "validation": (first, second)}
    return {"train": (0, second), "test": (second, len(data.times))}


def draw(history: History, sampler: NegativeSampler, events: Ints) -> Ints:
    """(Q, n) item rows of the negatives of events, 0 where there are fewer."""
    data = history.data
    asked = data.user_rows[events], data.times[events], data.event_order[events]
    return sampler.sample(*asked, history.settings.negatives)


def fit(history: History, train: Clicks, fold: Fold, until: int) -> FeatureSpec:
    """Fit the spec. Raises ValueError where no event lies before the fold's cut-off."""
    settings = history.settings
    if not len(train.events):
        raise ValueError(f"featurize: no event lies before the cut-off {until} ms of fold {fold!r}; expected some: "
                         "give the corpus more events, or raise split.validation_quantile")  # fmt: skip
    spec = FeatureSpec.fit(settings, history, train.spread_pairs(history, FIT_ROWS), until)
    if settings.selection.method != "none":
        _choose(spec, history, train)
    return spec


def _choose(spec: FeatureSpec, history: History, train: Clicks) -> None:
    """Select columns on training clicks spread evenly over time, with their negatives."""
    settings = spec.settings
    n = max(1, min(len(train.events), settings.selection.rows // (1 + settings.negatives)))
    some = np.unique(np.linspace(0, len(train.events) - 1, n).astype(np.int64))
    table = example_table(history, spec, train.take(some))
    names: dict[Side, str] = {"user": C.USER_FEATURES, "item": C.ITEM_FEATURES, "pair": C.PAIR_FEATURES}
    spec.choose({side: vectors_of(table[name]) for side, name in names.items()}, table[C.CLICK].to_numpy())


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
