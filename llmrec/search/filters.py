"""Which items a request allows: by category, brand and price, as far as the corpus's items have them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec.features.arrays import Bools, Ints
from llmrec.features.asof.history_data import HistoryData


@dataclass(frozen=True)
class Filters:
    """Each that is set must hold. Of `category` and `brand` one of the names, whatever its case; prices inclusive."""

    category: tuple[str, ...] = ()
    brand: tuple[str, ...] = ()
    price_from: float | None = None
    price_to: float | None = None

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True)
class AttributeFilter:
    """The attributes of a History's items."""

    data: HistoryData

    def allowed(self, filters: Filters) -> Bools:
        """(n_items + 1,) which items pass; one of unknown price passes no price."""
        rows = np.arange(len(self.data.item_ids))
        passes, price = np.ones(len(rows), np.bool_), self.data.price[rows]  # as they are by now
        for kind, names in (("category", filters.category), ("brand", filters.brand)):
            if names:
                passes &= self._has(rows, kind, names)
        if filters.price_from is not None:
            passes &= price >= filters.price_from
        if filters.price_to is not None:
            passes &= price <= filters.price_to
        return passes

    def _has(self, rows: Ints, kind: str, names: Sequence[str]) -> Bools:
        codes = self._codes(frozenset(f"{kind}={name.strip().casefold()}" for name in names))
        return np.asarray(np.isin(self.data.attributes[rows], codes).any(axis=1), np.bool_)

    def _codes(self, wanted: frozenset[str]) -> list[int]:
        """Of the labels `wanted`, folded. Names may join while a server runs: they are looked at each time."""
        return [code for code, label in list(self.data.attribute_names.items()) if label.casefold() in wanted]
