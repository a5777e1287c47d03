"""As-of profiles of one range of events, as plain functions: what each event's user, or item, looked like before it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.features.arrays import Bools, Floats, Ints
from llmrec.schema import Column as C

Hashes = npt.NDArray[np.uint64]
#: Number of an event, by which the outputs for users and for items are joined again.
EVENT = "event"
COUNT, MEAN_STARS, PROFILE = "count", "mean_stars", "profile"
#: Entities with more events than this are summed one by one, the others all at once, one step an event.
_LONG = 64


def profile_schema(dim: int) -> pa.Schema:
    """One row an event: how many events its entity had strictly before, their mean stars, their mean vector."""
    return pa.schema(
        [
            pa.field(EVENT, pa.int64(), nullable=False),
            pa.field(COUNT, pa.int64(), nullable=False),
            pa.field(MEAN_STARS, pa.float32(), nullable=False),  # 0 where there were no stars
            pa.field(PROFILE, pa.list_(pa.float32(), dim), nullable=False),  # 0 where there were no vectors
        ]
    )


@dataclass(frozen=True)
class Splitters:
    """P - 1 ascending keys (hash of the entity, time) that cut all events into P ranges."""

    hashes: Hashes
    times: Ints

    @classmethod
    def of_sample(cls, hashes: Hashes, times: Ints, n_ranges: int) -> "Splitters":
        """Even quantiles of sampled keys; equal keys stay together, so fewer ranges may come out."""
        order = np.lexsort((times, hashes))
        picks = order[(np.arange(1, n_ranges) * len(order)) // n_ranges] if len(order) else order
        keys = sorted(set(zip(hashes[picks].tolist(), times[picks].tolist(), strict=True)))
        return cls(np.array([h for h, _ in keys], np.uint64), np.array([t for _, t in keys], np.int64))

    @property
    def n_ranges(self) -> int:
        return len(self.hashes) + 1

    def range_of(self, hashes: Hashes, times: Ints) -> Ints:
        """(n,) range of each key: the number of splitters at or below it."""
        place = np.searchsorted(self.hashes, hashes, side="left")
        for at in range(len(self.hashes)):  # only keys whose entity is cut look at the time
            same = self.hashes[at] == hashes
            if same.any():
                place[same] += (times[same] >= self.times[at]).astype(np.int64)
        return place.astype(np.int64)


def entity_hash(ids: pa.ChunkedArray) -> Hashes:
    """(n,) SipHash of each id with a fixed key: spreads entities over ranges. Equal hashes are told apart later."""
    encoded = ids.combine_chunks().dictionary_encode()
    unique = pd.util.hash_array(encoded.dictionary.to_numpy(zero_copy_only=False), categorize=False)
    hashes: Hashes = unique[encoded.indices.to_numpy()]
    return hashes


def vectors_of(column: pa.ChunkedArray) -> npt.NDArray[np.float32]:
    """(n, dim) view of a fixed-size list column."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    flat: npt.NDArray[np.float32] = array.flatten().to_numpy()
    return flat.reshape(len(array), array.type.list_size)


def values_of(events: pa.Table, order: Ints | None = None) -> Floats:
    """(n, 3 + dim) what is summed, widened to float64: has stars, stars, has a vector, the vector."""
    stars = pc.fill_null(events[C.STARS], np.nan).to_numpy()
    vectors = vectors_of(events[C.VECTOR])
    values = np.empty((len(stars), 3 + vectors.shape[1]))
    picked = slice(None) if order is None else order
    given = ~np.isnan(stars[picked])
    values[:, 0], values[:, 1] = given, np.where(given, stars[picked], 0)
    values[:, 3:] = vectors[picked]
    values[:, 2] = values[:, 3:].any(axis=1)
    return values


def segmented_cumsum(values: Floats, starts: Ints) -> None:
    """Cumulative sums down the rows of (n, k), in place, anew at each of `starts`; each segment in its own order."""
    lengths = np.diff(np.append(starts, len(values)))
    for start, length in zip(starts[lengths > _LONG], lengths[lengths > _LONG], strict=True):
        segment = values[start : start + length]
        np.cumsum(segment, axis=0, out=segment)
    short = lengths <= _LONG
    by_length = np.argsort(-lengths[short], kind="stable")
    first, lengths = starts[short][by_length], lengths[short][by_length]
    for step in range(1, int(lengths[0]) if len(lengths) else 0):
        rows = first[: np.searchsorted(-lengths, -step, side="left")] + step
        values[rows] += values[rows - 1]


def carries_of(events: pa.Table, by: str, ranges: Ints, cut: Bools) -> dict[tuple[int, str], Floats]:
    """(range, entity) -> (4 + dim,) sums (events first) of the events whose entity a splitter cuts. Associative."""
    rows = np.flatnonzero(cut)
    if not len(rows):
        return {}
    values = values_of(events.take(pa.array(rows)))
    values = np.concatenate([np.ones((len(rows), 1)), values], axis=1)
    ids = events[by].take(pa.array(rows)).to_pylist()
    sums: dict[tuple[int, str], Floats] = {}
    for key, group in pd.DataFrame({"range": ranges[rows], "id": ids}).groupby(["range", "id"]).indices.items():
        sums[key] = values[group].sum(axis=0)
    return sums


def profiles(events: pa.Table, by: str, carry: dict[str, Floats]) -> pa.Table:
    """`profile_schema` rows of one whole range of events.

    Args:
        events: columns EVENT, `by`, timestamp, stars and vector (fixed-size list), in any order.
        carry: (4 + dim,) sums of earlier ranges, for the entities that reach into this one.
    """
    entity = events[by].combine_chunks().dictionary_encode().indices.to_numpy()
    times = events[C.TIMESTAMP].to_numpy()
    numbers = events[EVENT].to_numpy()
    order = np.lexsort((numbers, times, entity))
    entity, times = entity[order], times[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = entity[1:] != entity[:-1]
    tie = new.copy()
    tie[1:] |= times[1:] != times[:-1]
    sums = values_of(events, order)
    starts = np.flatnonzero(new)
    segmented_cumsum(sums, starts)
    segment = np.cumsum(new) - 1
    first = np.flatnonzero(tie)[np.cumsum(tie) - 1]  # first event of the same entity and time
    before = np.where(first > starts[segment], first - 1, 0) if len(order) else first
    total = sums[before]
    total[first == starts[segment]] = 0
    count = first - starts[segment]
    owners = events[by].take(pa.array(order[starts])).to_pylist() if carry else []
    for number, owner in enumerate(owners):
        if owner in carry:
            end = starts[number + 1] if number + 1 < len(starts) else len(order)
            count[starts[number] : end] += int(carry[owner][0])
            total[starts[number] : end] += carry[owner][1:]
    return _table(numbers[order], count, total)


def _table(numbers: Ints, count: Ints, total: Floats) -> pa.Table:
    stars = total[:, 1] / np.maximum(total[:, 0], 1)
    mean = np.divide(total[:, 3:], np.maximum(total[:, 2:3], 1), dtype=np.float64).astype(np.float32)
    columns = [
        pa.array(numbers),
        pa.array(count),
        pa.array(stars.astype(np.float32)),
        pa.FixedSizeListArray.from_arrays(pa.array(mean.ravel()), mean.shape[1]),
    ]
    return pa.table(columns, schema=profile_schema(mean.shape[1]))
