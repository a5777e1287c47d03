"""Rows of `examples`: each review as a click with its negatives, and their point-in-time features."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.features.arrays import Floats32, Ints, Rows
from llmrec.features.asof.events import NEVER
from llmrec.features.asof.history import History
from llmrec.features.dataset.outcomes import CameOfIt, came_of, outcome_kinds
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import HAPPENED_PREFIX, VALUE_PREFIX, examples_schema
from llmrec.schema import Column as C

#: Clicks a file, and clicks whose states are in memory at a time (few: they then stay in the processor's cache).
CHUNK = 4_096
_STATES = 256


@dataclass(frozen=True)
class Clicks:
    """(Q,) observed events and their (Q, n) sampled negatives."""

    events: Ints  # numbers in the history's order
    negatives: Rows  # item rows, 0 where there are fewer
    split: str
    review_ids: pa.Array | None = None  # None: nobody asks for them
    until: int = NEVER  # ms: what comes later labels nothing

    def chunks(self, size: int = CHUNK) -> Iterator["Clicks"]:
        for start in range(0, len(self.events), size):
            yield self.take(np.arange(start, min(start + size, len(self.events))))

    def take(self, index: Ints) -> "Clicks":
        """The clicks `index`, in that order."""
        ids = None if self.review_ids is None else self.review_ids.take(pa.array(index))
        negatives = Rows.of(self.negatives.take(index))
        return replace(self, events=self.events[index], negatives=negatives, review_ids=ids)

    def spread_pairs(self, history: History, n: int) -> Pairs:
        """At most n of the rows of `pairs`, spread evenly over them."""
        size = np.concatenate([1 + (part > 0).sum(axis=1) for part in self.negatives.parts])
        ends = np.cumsum(size)
        rows = np.unique(np.linspace(0, ends[-1] - 1, min(n, ends[-1])).astype(np.int64))
        asked = np.unique(np.searchsorted(ends, rows, side="right"))
        pairs, click, _ = self.take(asked).pairs(history)
        within = np.arange(len(click)) - np.searchsorted(click, click)
        return pairs.take(np.searchsorted((ends - size)[asked][click] + within, rows))

    def pairs(self, history: History) -> tuple[Pairs, Ints, npt.NDArray[np.bool_]]:
        """All rows, each click before its negatives; which click each belongs to; whether it is the click."""
        data = history.data
        items = np.concatenate([data.item_rows[self.events][:, None], self.negatives.whole()], axis=1)
        click, place = np.nonzero(items > 0)
        events = self.events[click]
        pairs = Pairs(data.user_rows[events], items[click, place], data.times[events], data.contexts[events])
        return pairs, click, place == 0


def example_table(history: History, spec: FeatureSpec, clicks: Clicks) -> pa.Table:
    """The rows of `clicks` by `schema.examples_schema`."""
    dims = len(spec.user_columns), len(spec.item_columns), len(spec.pair_columns)
    schema = examples_schema(*dims, outcome_kinds(history))
    parts = [_table(history, spec, part, schema) for part in clicks.chunks(_STATES)]
    return pa.concat_tables(parts).combine_chunks() if parts else schema.empty_table()


def _table(history: History, spec: FeatureSpec, clicks: Clicks, schema: pa.Schema) -> pa.Table:
    data = history.data
    pairs, click, positive = clicks.pairs(history)
    events = clicks.events
    per_click = history.users_at(data.user_rows[events], data.times[events], data.contexts[events])
    items = history.items_at(pairs.item_rows, pairs.times)
    ids = pa.nulls(len(events), pa.string()) if clicks.review_ids is None else clicks.review_ids
    columns: dict[str, Any] = {
        C.QUERY_ID: clicks.events[click],
        C.USER_ID: history.user_ids.take(pairs.user_rows),
        C.ITEM_ID: history.item_ids.take(pairs.item_rows),
        C.TIMESTAMP: pairs.times,
        C.REVIEW_ID: ids.take(pa.array(click, mask=~positive)),
        C.SPLIT: pa.repeat(clicks.split, len(pairs)),
        C.CANDIDATE: history.known_since[pairs.item_rows] < pairs.times,
        C.CLICK: positive.astype(np.int8),
        **_labels(history, came_of(history, events, clicks.until), click, positive),
        C.USER_IDX: spec.users_idx(per_click)[click],
        C.ITEM_IDX: spec.items_idx(items),
        C.HISTORY: _lists(spec.history_idx(per_click)[click]),
        C.HISTORY_AGES: _lists(spec.history_ages(per_click)[click]),
        C.USER_FEATURES: _vectors(spec.user_features(per_click)[click]),
        C.ITEM_FEATURES: _vectors(spec.item_features(items)),
        C.PAIR_FEATURES: _vectors(spec.pair_features(per_click.take(click), items)),
    }
    return pa.table(columns, schema=schema)


def _labels(history: History, came: CameOfIt, click: Ints, positive: npt.NDArray[np.bool_]) -> dict[str, pa.Array]:
    """The labels beside `click`, of rows (N,) that belong to clicks: nothing came of what was not chosen."""
    stars = np.where(positive, came.stars[click], np.float32(np.nan))
    unstarred = np.isnan(stars)
    found = {
        C.LIKE: pa.array((stars >= history.settings.liked_from).astype(np.int8), mask=unstarred),
        C.STARS: pa.array(stars, mask=unstarred),
    }
    for place, kind in enumerate(came.kinds):
        happened = came.happened[click, place] & positive
        values = np.where(happened, came.values[click, place], np.float32(np.nan))
        found[f"{HAPPENED_PREFIX}{kind}"] = pa.array(happened.astype(np.int8), mask=~came.decided[click])
        found[f"{VALUE_PREFIX}{kind}"] = pa.array(values, mask=np.isnan(values))
    return found


def _lists(values: npt.NDArray[np.generic]) -> pa.ListArray:
    offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def _vectors(values: Floats32) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
