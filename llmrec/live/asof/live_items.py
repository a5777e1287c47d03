"""Items of which other things are known than in the bundle, and items that it does not have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.events import NEVER
from llmrec.features.asof.history_data import MAX_CATEGORIES, HistoryData, attribute_hash
from llmrec.live.asof.growing import GrowingArray, GrowingRows, Values


class Replaceable:
    """(n, ...) rows of which some take the place of others, and some are new: row k is at `slots[k]`."""

    def __init__(self, base: Values, slots: GrowingArray, fill: Any = 0) -> None:
        self._slots, self._values = slots, GrowingRows(base, fill)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._slots.whole), *self._values.shape[1:])

    def put(self, value: Any) -> int:
        """Store one further row; returns its slot."""
        return self._values.append(np.asarray([value]))

    def __getitem__(self, numbers: Any) -> Values:
        return self._values.take(np.asarray(self._slots.whole[numbers]))


@dataclass(frozen=True)
class ItemFields:
    """What features read of an item but for its words, as a corpus has it."""

    brand: str | None = None
    categories: Sequence[str] = ()
    price: float | None = None
    available_from: int | None = None  # ms
    available_until: int | None = None


class LiveItems:
    """Items' columns of a `HistoryData`; `columns` replace the data's."""

    def __init__(self, data: HistoryData) -> None:
        self._names, self._slots = data.attribute_names, GrowingArray(np.arange(len(data.item_ids)))
        self.columns: dict[str, Any] = {"price": Replaceable(data.price, self._slots, np.nan)}
        for name in ("attributes", "description", "vectors_of_items"):
            self.columns[name] = Replaceable(getattr(data, name), self._slots)
        for name in ("available_from", "available_until"):
            self.columns[name] = Replaceable(getattr(data, name), self._slots, NEVER)

    def add(self, n: int) -> None:
        """n further items, of which as much is known as of the unknown one."""
        self._slots.append(np.zeros(n, np.int64))

    def put(self, row: int, fields: ItemFields) -> None:
        """What an item is from now on; its words are not known yet, or not any more, its own vectors stay."""
        price = np.nan if fields.price is None else fields.price
        begins, ends = (NEVER if t is None else t for t in (fields.available_from, fields.available_until))
        nothing = np.zeros(self.columns["description"].shape[1], np.float32)
        self._put(row, price=price, attributes=self._attributes(fields), description=nothing,
                  available_from=begins, available_until=ends)  # fmt: skip

    def describe(self, row: int, vector: Floats32) -> None:
        """The reduced vector (D,) of an item's words."""
        self._put(row, description=vector)

    def _put(self, row: int, **given: Any) -> None:
        slots = {name: column.put(given.get(name, column[row])) for name, column in self.columns.items()}
        (self._slots.whole[row],) = set(slots.values())  # all columns have the same slots

    def _attributes(self, fields: ItemFields) -> Ints:
        """(1 + MAX_CATEGORIES,) hashes of the brand and of the categories, whose names are kept."""
        labels = [("brand", fields.brand), *(("category", c) for c in fields.categories[:MAX_CATEGORIES])]
        found = np.zeros(1 + MAX_CATEGORIES, np.int64)
        for place, (kind, value) in enumerate(labels):
            if value:
                found[place] = attribute_hash(kind, value)
                self._names[int(found[place])] = f"{kind}={value}"
        return found
