"""What is known of a user and of items, as the rows that a ranker reads."""

from dataclasses import dataclass, fields

import numpy as np

from llmrec.features.arrays import Floats32
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Floats, Ints, ModelContext


@dataclass(frozen=True)
class ItemFacts:
    """Of I items: their state, and the scaled features (I, Di) that the bundle's variant reads."""

    state: ItemState
    features: Floats32

    @property
    def nbytes(self) -> int:
        return int(self.features.nbytes + sum(getattr(self.state, f.name).nbytes for f in fields(self.state)))

    def take(self, rows: Ints) -> "ItemFacts":
        return ItemFacts(self.state.take(rows), self.features[rows])

    def put(self, rows: Ints, others: "ItemFacts") -> None:
        """Write others in the place of these `rows`."""
        self.features[rows] = others.features
        for f in fields(self.state):
            getattr(self.state, f.name)[rows] = getattr(others.state, f.name)


def item_facts(context: ModelContext, rows: Ints, times: Ints | int) -> ItemFacts:
    """Of the items at the History rows `rows` (I,), each at its own time or all at one, from the history."""
    state = context.history.items_at(rows, np.array(np.broadcast_to(times, rows.shape), np.int64))
    return ItemFacts(state, context.spec.item_features(state, context.selection.item))


def click_rows(context: ModelContext, users: UserState, items: ItemState, features: Floats | None = None) -> Examples:
    """Row-aligned states as a ranker reads them; `users` may be one row for all items.

    `features` (I, Di): the items' columns that are read, scaled, where they are at hand.
    """
    spec, chosen, n = context.spec, context.selection, len(items)
    user = spec.user_features(users, chosen.user)
    idx, past, ages = spec.users_idx(users), spec.history_idx(users), spec.history_ages(users)
    if len(users) == 1 and n != 1:
        user, idx, past, ages = (np.broadcast_to(x, (n, *x.shape[1:])) for x in (user, idx, past, ages))
    item = spec.item_features(items, chosen.item) if features is None else features
    none = np.zeros(0, np.object_)
    return Examples(
        item_ids=none, user_ids=none, query=np.zeros(n, np.int64), times=items.times, click=np.zeros(n, np.float32),
        user_idx=idx.astype(np.int64), item_idx=spec.items_idx(items).astype(np.int64),
        history=past.astype(np.int64), ages=ages, user=user, item=item,
        pair=spec.pair_features(users, items, chosen.pair), outcomes=np.zeros((n, 0), np.float32),
    )  # fmt: skip
