"""A bundle's history with live events in it: states are, by value, those of a corpus that holds them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import cast, overload

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Floats32, Ints
from llmrec.features.asof.events import n_before
from llmrec.features.asof.history import History, columns_of, global_stats_of
from llmrec.features.asof.history_data import TEXT
from llmrec.features.asof.ids import Ids
from llmrec.features.asof.logs.happened import Happened
from llmrec.features.transforms.reduction import reduce_vectors, with_presence
from llmrec.live.asof.growing import GrowingArray, GrowingRows
from llmrec.live.asof.live_further import LiveFurther
from llmrec.live.asof.live_items import ItemFields, LiveItems
from llmrec.live.asof.live_log import LiveLog
from llmrec.live.asof.live_segments import LiveBatch


class LiveIds(Ids):
    """Ids that others join: the base's rows stay, new ones follow."""

    def __init__(self, base: Ids) -> None:
        super().__init__(base.array)
        self._base, self._new, self._place = base, list[str](), dict[str, int]()

    def add(self, ids: Sequence[str]) -> None:
        """Ids that are not known yet, each once."""
        start = len(self)
        self._new.extend(ids)
        self._place.update({name: start + k for k, name in enumerate(ids)})

    def __len__(self) -> int:
        return len(self.array) + len(self._new)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(len(self)))]
        row = int(place) + (len(self) if place < 0 else 0)
        return self._base[row] if row < len(self.array) else self._new[row - len(self.array)]

    def __iter__(self) -> Iterator[str]:
        yield from self._base
        yield from list(self._new)

    def rows(self, ids: Sequence[str]) -> Ints:
        rows = self._base.rows(ids)
        if self._place:
            for k in np.flatnonzero(rows == 0):
                rows[k] = self._place.get(ids[k], 0)
        return rows


class Timeline:
    """Everybody's live events in order of time: `events` (times, items), and sums of their stars."""

    def __init__(self) -> None:
        self._use(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((1, 4)))

    def _use(self, times: Ints, items: Ints, stats: Floats) -> None:
        self._times, self._items, self._stats = GrowingArray(times), GrowingArray(items), GrowingArray(stats)
        self._publish()

    def _publish(self) -> None:
        self.events = self._times.whole, self._items.whole
        self._sums = self._times.whole, self._stats.whole

    def everybody_at(self, times: Ints) -> Floats:
        """(Q, 4) as `AsOfStates.everybody_at`, of live events alone."""
        moments, stats = self._sums
        return np.asarray(stats[n_before(moments, times)])

    def add(self, items: Ints, times: Ints, orders: npt.NDArray[np.uint64], stars: Floats32) -> None:
        """N further events, in any order."""
        by_time = np.lexsort((orders, times))
        items, times, stars = items[by_time], times[by_time], stars[by_time]
        old, stats = self.events, self._sums[1]
        keep = int(np.searchsorted(old[0], times[0], side="right"))
        if keep == len(old[0]):
            self._stats.append(stats[-1] + global_stats_of(stars)[1:])
            self._times.append(times)
            self._items.append(items)
            self._publish()
            return
        late = [np.concatenate([mine[keep:], new]) for mine, new in zip(old, (times, items), strict=True)]
        order = np.argsort(late[0], kind="stable")
        steps = np.concatenate([np.diff(stats[keep:], axis=0), np.diff(global_stats_of(stars), axis=0)])[order]
        merged = [np.concatenate([mine[:keep], new[order]]) for mine, new in zip(old, late, strict=True)]
        self._use(merged[0], merged[1], np.concatenate([stats[: keep + 1], stats[keep] + np.cumsum(steps, axis=0)]))


class LiveHistory(History):
    """`place` and `speak` are for one thread; many others may ask at once, and see an event whole or not yet."""

    def __init__(self, base: History) -> None:
        self.n_base, self.base_items = len(base.data.times), base.data.item_rows
        data = base.data
        self._order = GrowingRows(data.event_order)
        self._items = GrowingRows(data.item_rows)
        self._described = LiveItems(data)
        live = replace(
            data, user_ids=LiveIds(data.user_ids), item_ids=LiveIds(data.item_ids), item_rows=cast(Ints, self._items),
            **self._described.columns,
        )  # fmt: skip
        self.live_users = LiveLog(base.users, data.settings, partial(columns_of, live), self._orders_of)
        self.live_items = LiveLog(base.items, data.settings, lambda events: None, self._orders_of)
        self.live_further = LiveFurther(base.further)
        profiles = base.profiles_of_users, base.profiles_of_items  # what comes while serving is in none yet
        logs = self.live_users.log, self.live_items.log, base.global_stats, self.live_further.logs
        super().__init__(base.folder, live, *logs, profiles)
        self._known, self.known_version = GrowingArray(base.known_since), 0  # which moves when `known_since` does
        self.timeline = Timeline()

    def _orders_of(self, numbers: Ints) -> npt.NDArray[np.uint64]:
        return self._order.take(numbers)[:, None]

    @property
    def n_live(self) -> int:
        """How many live interactions were placed."""
        return len(self._items) - self.n_base

    @property
    def known_since(self) -> Ints:
        return self._known.whole

    def everybody_at(self, times: Ints) -> Floats:
        return super().everybody_at(times) + self.timeline.everybody_at(times)

    def new_users(self, ids: Sequence[str]) -> None:
        """Users that are not known yet, each once; their rows follow the others'."""
        self.live_users.events.add_entities(len(ids))
        self.live_further.add_users(len(ids))
        cast(LiveIds, self.data.user_ids).add(ids)

    def put_item(self, item_id: str, fields: ItemFields, since: int) -> int:
        """Say what an item is, new or not, known from `since` (ms) on at the latest; returns its row.

        A new item makes arrays of all items longer: nobody may be asking meanwhile.
        """
        row = int(self.item_rows([item_id])[0])
        if not row:
            row = len(self.item_ids)
            self.live_items.events.add_entities(1)
            self.live_further.add_items(1)
            self._described.add(1)
            self._known.append(np.full(1, since))
            cast(LiveIds, self.data.item_ids).add([item_id])
        self._known.whole[row] = min(since, int(self._known.whole[row]))
        self._described.put(row, fields)
        self.known_version += 1
        return row

    def describe_item(self, row: int, vector: Floats32) -> None:
        """The encoder's vector (dim,) of an item's own words."""
        self._described.describe(row, reduce_vectors(vector[None], self.reductions.get(TEXT), "item")[0])

    def place(self, users: Ints, items: Ints, times: Ints, orders: npt.NDArray[np.uint64], stars: Floats32) -> None:
        """Put N live interactions at their own times: rows of users and items, ms, `event_order`, NaN without stars."""
        numbers = np.arange(len(self._items), len(self._items) + len(users))
        self._items.append(items)
        self._order.append(orders)
        self.live_items.place(LiveBatch(items, times, orders[:, None], numbers, stars))
        self._are_known(items, times)
        self.timeline.add(items, times, orders, stars)
        self.live_users.place(LiveBatch(users, times, orders[:, None], numbers, stars))

    def happen(self, new: Happened) -> None:
        """Put N live events of other kinds, or of the outcome's beside `place`, at their own times."""
        about = new.item_rows > 0
        self._are_known(new.item_rows[about], new.times[about])
        self.live_further.place(new)

    def _are_known(self, items: Ints, times: Ints) -> None:
        """From their events on at the latest."""
        if (times < self._known.whole[items]).any():
            np.minimum.at(self._known.whole, items, times)
            self.known_version += 1

    def speak(self, user: int, number: int, vector: Floats32) -> None:
        """The encoder's vector (dim,) of what was written in the live event `number` of a user."""
        item = int(self._items.take(np.array([number]))[0])
        said = with_presence(vector[None], self.reductions.get(TEXT))[0]
        self.live_items.speak(item, number, said)
        self.live_users.speak(user, number, said)
