"""The log of users or of items, `EntityLog`, with live events in it."""

from itertools import pairwise
from typing import cast

import numpy as np

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Rows
from llmrec.features.asof.events import BLOCK
from llmrec.features.asof.logs.entity_log import SEQUENCES, VECTORS, ColumnsOf, EntityLog, readings_in, sums_of
from llmrec.live.asof.growing import GrowingRows, Mapped
from llmrec.live.asof.live_segments import LiveSegments, OrdersOf


class LiveLog(LiveSegments):
    """`log` is what `AsOfStates` reads; what events give are their stars."""

    def __init__(self, base: EntityLog, settings: FeaturesConfig, columns_of: ColumnsOf, orders_of: OrdersOf) -> None:
        stored = {name: sums.stored for name, sums in base.sums.items()}
        super().__init__(base.events, base.stars, stored, orders_of)
        self._rows = {name: GrowingRows(rows) for name, rows in base.rows.items()}
        rows = {name: cast(Rows, Mapped(self.events.sources, held)) for name, held in self._rows.items()}
        columns, readings = columns_of(self.events), readings_in(rows)
        self.sums = sums_of(self.events, self.values, rows[VECTORS].take, settings, columns, readings, self.stored)
        self.log = EntityLog(self.events, self.values, rows, self.sums)

    def speak(self, row: int, number: int, vector: Floats32) -> None:
        """The words of the entity's live event `number`, reduced and with their presence (D + 1,)."""
        self._rows[VECTORS].write(np.array([number]), vector[None])
        begin, count = (int(found[0]) for found in self.events.where(np.array([row])))
        place = np.flatnonzero(self.events.sources(np.arange(begin, begin + count)) == number)
        self._sum(begin, int(place[0]) // BLOCK, count)

    def _grow(self, n: int) -> None:
        for held in self._rows.values():
            held.grow(n)

    def _moved(self, begin: int, unchanged: int, total: int) -> None:
        """What a user had, as text, is not encoded for live events: they keep that of the event before."""
        if SEQUENCES not in self._rows or not self._rows[SEQUENCES].shape[1]:
            return
        sources = self.events.sources(np.arange(begin + max(unchanged - 1, 0), begin + total))
        for before, source in pairwise(sources):
            if source >= self.events.n_base:
                self._rows[SEQUENCES].write(source[None], self._rows[SEQUENCES].take(before[None]))
