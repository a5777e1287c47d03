"""What models ask of the past, `ModelContext`, over a history that goes on."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Ints
from llmrec.features.asof.events import NEVER
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import AsOf, Interactions, counts_before
from llmrec.features.asof.item_sets import ItemWindows
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.live.asof.growing import GrowingArray
from llmrec.live.asof.live_history import LiveHistory
from llmrec.models.base import ModelContext, windows
from llmrec.schema import id_hash

T = TypeVar("T")


class Remade(Generic[T]):
    """What is made anew when its version has moved. Safe among threads."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._made = make, dict[object, T]()

    def at(self, version: object) -> T:
        found = self._made.get(version)
        if found is None:
            found = self._make()
            self._made = {version: found}
        return found


class LiveInteractions(Interactions):
    """The events that a bundle holds, in order, as a model was fitted on them; ids and candidates are of now."""

    def __init__(self, history: LiveHistory) -> None:
        data = history.data
        told = {
            "user_ids": data.user_ids, "item_ids": data.item_ids, "user": data.user_rows, "time": data.times,
            "item": history.base_items, "stars": data.stars, "liked_from": history.settings.liked_from,
            "outcomes": data.outcomes, "exclude_seen": history.settings.exclude_seen,
        }  # fmt: skip
        told |= {"_history": history, "hidden": np.zeros(0, np.int64), "_n_hidings": 0}
        told |= {"_known": Remade(lambda: ItemWindows(self.known_from))}
        told |= {"_users": GrowingArray(id_hash(data.user_ids)), "_items": GrowingArray(id_hash(data.item_ids))}
        for name, value in told.items():
            object.__setattr__(self, name, value)

    @property
    def known_from(self) -> Ints:
        known = self._history.known_since.copy()
        known[0] = NEVER
        known[self.hidden] = NEVER
        return known

    @property
    def version(self) -> tuple[int, int]:
        """Which moves when an item becomes known, is described anew, or is hidden."""
        return self._history.known_version, self._n_hidings

    @property
    def known(self) -> ItemWindows:
        return self._known.at(self.version)

    def hide(self, row: int, hidden: bool) -> None:
        """Whether the item is never a candidate."""
        others = self.hidden[self.hidden != row]
        object.__setattr__(self, "hidden", np.append(others, row) if hidden else others)
        object.__setattr__(self, "_n_hidings", self._n_hidings + 1)

    @property
    def user_hash(self) -> npt.NDArray[np.uint64]:
        return _hashed(self._users, self.user_ids)

    @property
    def item_hash(self) -> npt.NDArray[np.uint64]:
        return _hashed(self._items, self.item_ids)

    _history: LiveHistory
    _users: GrowingArray
    _items: GrowingArray
    _n_hidings: int
    _known: "Remade[ItemWindows]"
    hidden: Ints  # rows of items that are no candidates


def _hashed(known: GrowingArray, ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The hashes of all ids, those that joined among them."""
    missing = len(ids) - len(known.whole)
    if missing > 0:
        known.append(id_hash(ids[-missing:]))
    return known.whole


class LiveAsOf(AsOf):
    """`AsOf` with the live events in it."""

    settled = False

    def __init__(self, history: LiveHistory, data: Interactions) -> None:
        self.data, self.visible = data, np.arange(len(data))
        self._time, self._users = data.time, history.users.events
        self._item = cast(Any, history.data.item_rows)
        self._base_items, self._history = data.item, history

    def events(self, start: int, stop: int) -> tuple[Ints, Ints]:
        moments, items = self._history.timeline.events
        base, live = (slice(*np.searchsorted(times, [start, stop]).tolist()) for times in (self._time, moments))
        times = np.concatenate([self._time[base], moments[live]])
        order = np.argsort(times, kind="stable")
        return times[order], np.concatenate([self._base_items[base], items[live]])[order]

    def counts(self, times: Ints, decay_days: float | None = None) -> Floats:
        moments, items = self._history.timeline.events
        n = self.data.n_items
        base = counts_before(self._time, self._base_items, n, times, decay_days)
        return base + counts_before(moments, items, n, times, decay_days) if len(moments) else base


class LiveContext(ModelContext):
    """The context of a bundle whose history is live."""

    history: LiveHistory

    @classmethod
    def of(cls, spec: FeatureSpec, history: History, variant: str) -> "LiveContext":
        """As `ModelContext`, with a `LiveHistory` over `history`."""
        return cls(spec, LiveHistory(history), variant)

    @cached_property
    def interactions(self) -> LiveInteractions:
        return LiveInteractions(self.history)

    @property
    def listable(self) -> ItemWindows:
        return self._listable.at(self.interactions.version)

    @cached_property
    def _listable(self) -> Remade[ItemWindows]:
        return Remade(lambda: windows(self.interactions, self.history))

    @cached_property
    def as_of(self) -> LiveAsOf:
        return LiveAsOf(self.history, self.interactions)
