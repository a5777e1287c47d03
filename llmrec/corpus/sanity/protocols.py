"""Whether the configured protocols have events to train and test on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmrec.config import RunConfig
from llmrec.corpus.passes.keys import codes_of, hashed
from llmrec.corpus.splits import Cutoffs, cutoffs
from llmrec.files import filesystem
from llmrec.schema import C

_NEVER = np.iinfo(np.int64).max
Known = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]  # hashes of items in order, ms since when each is known


@dataclass(frozen=True)
class Tables:
    """The Parquet parts of a corpus; a user's reviews are all in one part."""

    reviews: list[str]
    items: list[str]
    events: Sequence[str] = ()


def untestable(config: RunConfig, tables: Tables) -> Iterator[tuple[str, str]]:
    """(name, message) of each protocol of the configuration that has nothing to be trained or tested on."""
    times = np.concatenate([np.empty(0, np.int64), *(_ints(uri, C.TIMESTAMP) for uri in tables.reviews)])
    moments = len(np.unique(times))
    if moments < 2:
        yield "one_moment", f"all {len(times):,} events share one moment: no split in time is possible"
        return
    if _one_item(tables):
        yield "one_item", "all events are of one item: there is no other that could be recommended, or stand beside it"
        return
    try:
        cut = cutoffs(times, config.split)
    except ValueError as error:
        yield "temporal", f"{error}"
    else:
        yield from _without_candidates(tables, cut)
    if "leave_last_out" in config.evaluation.protocols and not any(map(_second_events, tables.reviews)):
        yield (
            "leave_last_out",
            "no user has two events, so that protocol leave_last_out has none to test on; take it out of "
            "evaluation.protocols",
        )


def _one_item(tables: Tables) -> bool:
    found = (_columns(uri, C.ITEM_ID)[C.ITEM_ID].unique()[:2].to_pylist() for uri in tables.reviews)
    return len(set().union(*found)) < 2


def _ints(uri: str, column: str) -> npt.NDArray[np.int64]:
    values: npt.NDArray[np.int64] = _columns(uri, column)[column].to_numpy()
    return values


def _columns(uri: str, *names: str) -> pa.Table:
    fs, path = filesystem(uri)
    return pq.read_table(path, filesystem=fs, columns=list(names), partitioning=None)


def _asked(uri: str, *names: str) -> pa.Table:
    """Columns of the rows that are the outcome."""
    fs, path = filesystem(uri)
    if C.OUTCOME not in pq.read_schema(path, filesystem=fs).names:
        return _columns(uri, *names)
    table = _columns(uri, *names, C.OUTCOME)
    return table.filter(table[C.OUTCOME])


def _second_events(uri: str) -> bool:
    users = codes_of(_asked(uri, C.USER_ID)[C.USER_ID])
    return bool(len(users) and np.bincount(users).max() > 1)


def _without_candidates(tables: Tables, cut: Cutoffs) -> Iterator[tuple[str, str]]:
    known = _known_since(tables)
    clicks: dict[str, list[int]] = {"train": [0, 0], "validation": [0, 0], "test": [0, 0]}
    for uri in tables.reviews:
        _count(uri, known, cut, clicks)
    for side, (events, candidates) in clicks.items():
        if not candidates:
            yield (
                f"{side}_candidates",
                f"all {events:,} events of split {side} are on items first seen at that very moment, so that none of "
                "them was a candidate before (clicks_on_new_items); give the items' dates (item_columns."
                "available_from), or move split.validation_quantile and split.test_quantile",
            )


def _count(uri: str, known: Known, cut: Cutoffs, clicks: dict[str, list[int]]) -> None:
    table = _asked(uri, C.ITEM_ID, C.TIMESTAMP)
    times = table[C.TIMESTAMP].to_numpy()
    since = known[1][np.searchsorted(known[0], hashed(table[C.ITEM_ID]))]
    masks = cut.masks(times)
    for side, counted in clicks.items():
        mask: Any = getattr(masks, side)
        counted[0] += int(mask.sum())
        counted[1] += int((mask & (since < times)).sum())


def _known_since(tables: Tables) -> Known:
    """Since when each item is known: its first event, of any kind, or its date, whichever is earlier."""
    known: Known = np.empty(0, np.uint64), np.empty(0, np.int64)
    for uri in (*tables.reviews, *tables.events):
        table = _columns(uri, C.ITEM_ID, C.TIMESTAMP)
        table = table.filter(pc.is_valid(table[C.ITEM_ID]))
        known = _earliest(known, hashed(table[C.ITEM_ID]), table[C.TIMESTAMP].to_numpy())
    for uri in tables.items:
        table = _columns(uri, C.ITEM_ID, C.AVAILABLE_FROM)
        known = _earliest(known, hashed(table[C.ITEM_ID]), table[C.AVAILABLE_FROM].fill_null(_NEVER).to_numpy())
    return known


def _earliest(known: Known, items: npt.NDArray[np.uint64], times: npt.NDArray[np.int64]) -> Known:
    every, moments = np.concatenate([known[0], items]), np.concatenate([known[1], times])
    names, place = np.unique(every, return_inverse=True)
    since = np.full(len(names), _NEVER)
    np.minimum.at(since, place, moments)
    return names, since
