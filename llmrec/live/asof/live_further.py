"""What users do besides, and whom they follow, going on: `FurtherLogs` with live events and relations in it."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Bools, Ints
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.logs.further_logs import FurtherLogs, KindLog, kind_sums
from llmrec.features.asof.logs.happened import Happened
from llmrec.live.asof.growing import GrowingRows, Mapped
from llmrec.live.asof.live_segments import LiveBatch, LiveSegments, OrdersOf

_SUM = "values"


class LiveFurther:
    """`logs` is what `AsOfStates` reads. One thread adds, many may ask at once.

    Kinds are those that the base has, and relations are there where it has some: features are fitted to no others.
    """

    def __init__(self, base: FurtherLogs) -> None:
        self.kinds = base.kinds
        self._numbers = {name: GrowingRows(values) for name, values in base.numbers.items()}
        self._sides = {side: _LiveKinds(log, self._orders_of, base) for side, log in _sides(base).items()}
        self._by_user = None if base.by_user is None else _unsummed(base.by_user, self._orders_of)
        self._relations = None if base.relations is None else _LiveRelations(base.relations, base)
        going: dict[str, Any] = {"numbers": self._numbers} | {name: side.log for name, side in self._sides.items()}
        if self._by_user is not None:
            going["by_user"] = self._by_user.events
        if self._relations is not None:
            going |= {"relations": self._relations.events, "followed": self._relations.followed}
        self.logs = replace(base, **going)

    def add_users(self, n: int) -> None:
        """n further rows of users, who did nothing."""
        for log in (self._by_user, self._relations):
            if log is not None:
                log.events.add_entities(n)
        self._add("users", n)

    def add_items(self, n: int) -> None:
        """n further rows of items, to which nothing was done."""
        self._add("items", n)

    def _add(self, side: str, n: int) -> None:
        if side in self._sides:
            self._sides[side].events.add_entities(n * len(self.kinds))

    def place(self, new: Happened) -> None:
        """Put N live events, none of them there yet, at their own times. There are kinds."""
        if self._by_user is None or not len(new.times):
            return
        numbers = len(self._numbers["kinds"]) + np.arange(len(new.times))
        for name, held in self._numbers.items():
            held.append(getattr(new, name))
        orders, k = np.column_stack([new.orders, new.ties]), len(self.kinds)
        for side, rows in (("items", new.item_rows), ("users", new.user_rows)):
            some = np.flatnonzero(rows)  # a search is about no item
            batch = LiveBatch(rows * k + new.kinds, new.times, orders, numbers, new.values)
            self._sides[side].place(batch.take(some))
        self._by_user.place(LiveBatch(new.user_rows, new.times, orders, numbers, new.values))

    def holds(self, user: int, ties: npt.NDArray[np.uint64]) -> bool:
        """Whether the base has an event of the user with one of the ids that `ties` (n,) stand for."""
        if self._by_user is None or user >= len(self._by_user.events.base.offsets) - 1:
            return False
        events = self._by_user.events.base
        mine = events.order[events.offsets[user] : events.offsets[user + 1]]
        return bool(np.isin(self._numbers["ties"].take(mine), ties).any())

    def follow(self, follower: int, followed: int, time: int, order: int) -> bool:
        """From `time` (ms) on; `order`: `event_order` of the pair. Whether that is new. There are relations."""
        return self._relations is not None and self._relations.add(follower, followed, time, order)

    def _orders_of(self, numbers: Ints) -> npt.NDArray[np.uint64]:
        return np.column_stack([self._numbers[name].take(numbers) for name in ("orders", "ties")])


def _sides(base: FurtherLogs) -> dict[str, KindLog]:
    return {"users": base.users, "items": base.items} if base.users and base.items else {}


def _unsummed(base: EntityEvents, orders_of: OrdersOf) -> LiveSegments:
    """Events of which nothing is summed."""
    return LiveSegments(base, np.broadcast_to(np.float32(np.nan), len(base)), {}, orders_of)


class _LiveKinds(LiveSegments):
    """A `KindLog` that goes on, `log`."""

    def __init__(self, base: KindLog, orders_of: OrdersOf, of: FurtherLogs) -> None:
        super().__init__(base.events, base.values, {_SUM: base.sums.stored}, orders_of)
        self.sums[_SUM] = kind_sums(self.events, self.values, of.settings, self.stored[_SUM])
        self.log = KindLog(self.events, self.values, self.sums[_SUM], base.n_kinds)


class _LiveRelations(LiveSegments):
    """Relations that go on: `events` by follower, and whom they follow, `followed`, by position."""

    def __init__(self, base: EntityEvents, of: FurtherLogs) -> None:
        super().__init__(base, np.broadcast_to(np.float32(np.nan), len(base)), {}, self._orders)
        self._follow_orders, self._followed = GrowingRows(of.follow_orders), GrowingRows(of.followed)
        self.followed = cast(Ints, Mapped(self.events.sources, self._followed))

    def add(self, follower: int, followed: int, time: int, order: int) -> bool:
        begin, count = (int(found[0]) for found in self.events.where(np.array([follower])))
        mine: Bools = self.followed[np.arange(begin, begin + count)] == followed
        if mine.any():
            return False
        number = self._follow_orders.append(np.array([order], np.uint64))
        self._followed.append(np.array([followed]))
        orders, nothing = np.array([[order]], np.uint64), np.full(1, np.nan, np.float32)
        self.place(LiveBatch(np.array([follower]), np.array([time]), orders, np.array([number]), nothing))
        return True

    def _orders(self, numbers: Ints) -> Any:
        return self._follow_orders.take(numbers)[:, None]
