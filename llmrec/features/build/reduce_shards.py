"""What is done to shards of vectors: each is summed by itself, reduced by itself, and put where its rows belong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints, find_arrays, map_array, read_arrays, vectors_of, write_arrays
from llmrec.features.asof.history_data import TEXT
from llmrec.features.build.log_ranges import EventRanges
from llmrec.features.build.vector_shards import VectorShard
from llmrec.features.transforms.projection import Kind, Moments
from llmrec.features.transforms.reduction import (
    Reduction,
    Sample,
    Summary,
    fit_reduction,
    reduce_vectors,
    summarise,
    with_presence,
)  # fmt: skip
from llmrec.shuffle_files import read_range, write_ranges
from llmrec.threads import one_thread


def partial_fit(settings: FeaturesConfig, shard: VectorShard) -> None:
    """Write what the shard gives to fit on, where it gives anything."""
    with one_thread("blas"):
        total: Summary | None = None
        for _, places, vectors in shard.batches():
            part = summarise(settings, vectors, places, shard.total)
            total = part if total is None else total + part  # type: ignore[operator]  # both are of one kind
    if total is not None:
        write_arrays(f"{shard.uri}.summary", {k: np.asarray(v) for k, v in vars(total).items()})


def fit_shards(settings: FeaturesConfig, dim: int, shards: Sequence[VectorShard]) -> Reduction:
    """The reduction of the summed shards; they are added in order, one in memory at a time."""
    made: dict[Kind, Any] = {}
    sample = settings.text_reduction == "autoencoder"
    for shard in shards:
        arrays = find_arrays(f"{shard.uri}.summary")
        if arrays is not None:
            part = Sample(**arrays) if sample else Moments(arrays.pop("count").item(), **arrays)
            made[shard.kind] = part if shard.kind not in made else made[shard.kind] + part
    nothing = np.zeros((0, dim), np.float32)
    with one_thread("blas"):
        return fit_reduction(settings, made or {"item": summarise(settings, nothing, np.zeros(0, np.int64), 0)})


def transform_shard(
    reductions: Mapping[str, Reduction], logs: Mapping[str, tuple[str, EventRanges]], shard: VectorShard
) -> None:
    """Write the shard's rows and their reduced vectors; those of reviews' texts with their presence.

    What belongs to events is laid out by the ranges of `logs`, name -> (URI of the events' positions, ranges).
    """
    reduction = reductions[shard.name]
    flagged = shard.name == TEXT and shard.kind == "review"
    numbers, values = [np.zeros(0, np.int64)], [np.zeros((0, reduction.dim + flagged), np.float32)]
    for rows, _, vectors in shard.batches():
        numbers.append(rows)
        values.append(with_presence(vectors, reduction) if flagged else reduce_vectors(vectors, reduction, shard.kind))
    rows, reduced = np.concatenate(numbers), np.concatenate(values)
    if shard.kind == "item":
        write_arrays(f"{shard.uri}.reduced", {"numbers": rows, "values": reduced})
        return
    for log, (uri, ranges) in logs.items():
        positions = map_array(uri)[rows]
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(reduced.ravel()), reduced.shape[1])
        table = pa.table({"positions": positions, "vectors": vectors})
        write_ranges(f"{shard.uri}.{log}", table, ranges.of_positions(positions), len(ranges))


def of_range(shards: Sequence[VectorShard], log: str, number: int, start: int, stop: int, width: int) -> Floats32:
    """(stop - start, width) reduced vectors of a range of positions; zero where no shard has any."""
    found = np.zeros((stop - start, width), np.float32)
    for shard in shards:
        rows = read_range([f"{shard.uri}.{log}"], number)
        found[rows["positions"].to_numpy() - start] = vectors_of(rows["vectors"])
    return found


def collect(shards: Sequence[VectorShard], n: int, width: int) -> Floats32:
    """(n, width) reduced vectors of all items from their shards; zero where no shard has the row."""
    vectors = np.zeros((n, width), np.float32)
    for shard in shards:
        reduced = read_arrays(f"{shard.uri}.reduced")
        vectors[reduced["numbers"]] = reduced["values"]
    return vectors


def scatter_rows(vectors: Floats32, where: Ints, n: int) -> Floats32:
    """(n, width) with row k of `vectors` at `where[k]`, zero elsewhere."""
    found = np.zeros((n, vectors.shape[1]), np.float32)
    found[where] = vectors
    return found


def side_by_side(columns: dict[str, Floats32], n: int) -> Floats32:
    """(n, M) of vector columns (n, width)."""
    return np.concatenate([np.zeros((n, 0), np.float32), *columns.values()], axis=1)
