"""What users did besides the outcome, and whom they follow: events of many kinds, as of any moment.

A moment sees events strictly before it, by the one rule of `events.py`; `features.event_lag` minutes more lie between.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from llmrec.config import FeaturesConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.features.arrays import Bools, Floats, Floats32, Ints, Rows, map_array
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.logs.entity_log import load_events
from llmrec.features.asof.logs.happened import read_names
from llmrec.features.asof.logs.sums import BlockedSums
from llmrec.schema import DAY_MS

#: Of those whom a user follows the last so many, and of each the last so many items.
FOLLOWED, TAKEN = 20, 5
#: How far back an impression is the question that a click answers.
SHOWN_MS, SHOWN = DAY_MS, 20
IMPRESSION = "impression"
SUMS = "sums.npy"
BY_NUMBER = ("item_rows", "kinds", "values", "orders", "ties")
SIDES = ("users", "items")


def nearness(ages_ms: Any) -> Any:
    """1 for now, a half for a day ago, towards 0 for long ago; of ages in ms."""
    return 1 / (1 + np.maximum(ages_ms, 0) / DAY_MS)


@dataclass(frozen=True)
class KindLog:
    """Events of users or of items by kind: an entity is row * K + kind."""

    events: EntityEvents
    values: Floats32  # by position, NaN where none
    sums: BlockedSums
    n_kinds: int

    def at(self, rows: Ints, times: Ints) -> Floats:
        """(Q, K, W + 3): events, decayed by each of W constants, the sum of their values, `nearness` of the last."""
        asked = (rows[:, None] * self.n_kinds + np.arange(self.n_kinds)).ravel()
        span = self.events.span(asked, np.repeat(times, self.n_kinds))
        sums = self.sums.at(span)
        last = self.events.first_and_last(span)[1]
        near = np.where(span.count > 0, nearness(span.times - last), 0)
        found = np.column_stack([span.count, sums[:, 1:, 0], sums[:, 0, 1], near])
        return found.reshape(len(rows), self.n_kinds, -1)


@dataclass(frozen=True)
class FurtherLogs:
    """Of a history; E events in order of time, of K kinds. Without any, states are of width 0."""

    settings: FeaturesConfig
    kinds: tuple[str, ...]
    users: KindLog | None
    items: KindLog | None
    by_user: EntityEvents | None  # all kinds alike
    numbers: dict[str, Any]  # by number, as `Happened` has them: item_rows, kinds, values, orders, ties
    relations: EntityEvents | None  # of followers, in order of their beginning
    followed: Ints  # (relations,) by position
    follow_orders: Ints  # (relations,) by number: what orders those of one beginning
    outcome: OutcomeConfig

    @classmethod
    def none(cls, settings: FeaturesConfig) -> "FurtherLogs":
        nobody = np.zeros(0, np.int64)
        return cls(settings, (), None, None, None, {}, None, nobody, nobody, OutcomeConfig())

    @classmethod
    def load(cls, folder_uri: str, settings: FeaturesConfig) -> "FurtherLogs":
        """What `write_events` and `write_relations` wrote, mapped."""
        found: FurtherLogs = cls.none(settings)
        values = vars(found).copy()
        names = read_names(folder_uri)
        values["outcome"] = names.outcome
        if names.relations:
            moments = map_array(f"{folder_uri}/relations/moments.npy")
            values["relations"], _ = load_events(f"{folder_uri}/relations", moments)
            for name in ("followed", "follow_orders"):
                values[name] = map_array(f"{folder_uri}/relations/{name}.npy")
        if names.kinds:
            values |= _loaded(f"{folder_uri}", names.kinds, settings)
        return cls(**values)

    @property
    def lag_ms(self) -> int:
        return int(self.settings.event_lag * 60_000)

    @property
    def width(self) -> int:
        """Of what is said of a kind."""
        return len(self.settings.popularity_days) + 3

    def stats(self, log: KindLog | None, rows: Ints, times: Ints) -> Floats:
        """(Q, K, W + 3) of users or of items; see `KindLog.at`."""
        return np.zeros((len(rows), 0, self.width)) if log is None else log.at(rows, times - self.lag_ms)

    def recent(self, rows: Ints, times: Ints) -> dict[str, Any]:
        """The (Q, R) last events of users, of any kind: items, kinds (from 1; 0 pads), nearness, values (0: none)."""
        if self.by_user is None:
            return dict(zip(_RECENT, _nothing(len(rows)), strict=True))
        span = self.by_user.span(rows, times - self.lag_ms)
        positions, exists = self.by_user.last(span, self.settings.event_history)
        number = np.where(exists, self.by_user.order[positions], 0)
        given = np.nan_to_num(np.maximum(self.numbers["values"][number], 0))
        near = nearness(times[:, None] - self.by_user.times[positions])
        columns = self.numbers["item_rows"][number], self.numbers["kinds"][number] + 1, near, given
        return {name: np.where(exists, column, 0) for name, column in zip(_RECENT, columns, strict=True)}

    def taken(self, users: EntityEvents, item_rows: Ints, rows: Ints, times: Ints) -> dict[str, Any]:
        """What those whom users follow took: (Q, F) items and their nearness, and (Q,) how many they follow.

        `users`: everybody's interactions by user, `item_rows` (E,) their items by number.
        """
        if self.relations is None:
            items, _, near, _ = _nothing(len(rows))
            return {"followed_items": items, "followed_near": near, "follows": np.zeros(len(rows))}
        span = self.relations.span(rows, times)
        positions, exists = self.relations.last(span, FOLLOWED)
        people = np.where(exists, self.followed[positions], 0).ravel()
        at = np.repeat(times, FOLLOWED)
        taken, there = users.last(users.span(people, at), TAKEN)
        number = np.where(there, users.order[taken], 0)
        near = np.where(there, nearness(at[:, None] - users.times[taken]), 0)
        shape = (len(rows), FOLLOWED * TAKEN)
        return {"followed_items": np.where(there, item_rows[number], 0).reshape(shape),
                "followed_near": near.reshape(shape), "follows": span.count.astype(np.float64)}  # fmt: skip

    def shown(self, rows: Ints, times: Ints) -> tuple[Ints, Bools]:
        """(Q, SHOWN) items last shown to users within SHOWN_MS up to and at the times, latest last; which exist.

        A label, not a feature: what was shown with a click at its very time is what the click was chosen from.
        """
        if self.users is None or IMPRESSION not in self.kinds:
            return np.zeros((len(rows), 0), np.int64), np.zeros((len(rows), 0), np.bool_)
        asked = rows * len(self.kinds) + self.kinds.index(IMPRESSION)
        positions, exists = self.users.events.last(self.users.events.span(asked, times + 1), SHOWN)
        exists &= self.users.events.times[positions] > times[:, None] - SHOWN_MS
        return np.where(exists, self.numbers["item_rows"][self.users.events.order[positions]], 0), exists


_RECENT = ("recent_items", "recent_kinds", "recent_near", "recent_values")


def _nothing(n: int) -> tuple[Any, ...]:
    none = np.zeros((n, 0))
    return none.astype(np.int64), none.astype(np.int64), none, none


def _loaded(folder: str, kinds: tuple[str, ...], settings: FeaturesConfig) -> dict[str, Any]:
    moments = map_array(f"{folder}/moments.npy")
    numbers = {name: map_array(f"{folder}/{name}.npy") for name in BY_NUMBER}
    logs = {}
    for side in SIDES:
        events, values = load_events(f"{folder}/{side}", moments if side == "users" else map_array(
            f"{folder}/item_moments.npy"))  # fmt: skip
        stored = Rows.mapped([f"{folder}/{side}/{SUMS}"])
        logs[side] = KindLog(events, values, kind_sums(events, values, settings, stored), len(kinds))
    by_user, _ = load_events(f"{folder}/by_user", moments)
    return {"kinds": kinds, **logs, "by_user": by_user, "numbers": numbers}


def kind_sums(events: EntityEvents, values: Floats32, settings: FeaturesConfig, stored: Rows | None) -> BlockedSums:
    """The sums of a `KindLog` from the values (E,) by position; `stored`: None makes them."""
    days = (np.inf, *settings.popularity_days)
    return BlockedSums(events, partial(_terms, values, len(days)), days, stored)


def _terms(values: Floats32, n_variants: int, positions: Ints) -> tuple[Floats32, Floats32]:
    """Of an event: 1 and its value, none and less than nothing being 0."""
    given = np.nan_to_num(np.maximum(values[positions], 0))
    both = np.stack([np.ones_like(given), given], axis=1).astype(np.float32)
    return both, np.ones((len(positions), n_variants), np.float32)
