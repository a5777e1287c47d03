"""From the artifacts to a plan: numbers in files, in order of events and by entity, and the texts' keys in shards."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig, SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import keys_of_rows, open_store
from llmrec.features.arrays import Ints, write_array
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history import FURTHER, GLOBAL_STATS, ITEMS, PARTS, USERS, global_stats_of
from llmrec.features.asof.history_data import READING, SEQUENCE, TEXT, HistoryData
from llmrec.features.asof.logs.entity_log import save_events
from llmrec.features.build.further_tables import write_further
from llmrec.features.build.log_ranges import EventRanges
from llmrec.features.build.readers import read_numbers, reviews
from llmrec.features.build.vector_shards import SHARD_ROWS, VectorShard, VectorSource, shards_of_column, write_keys
from llmrec.features.dataset.folds import FitRows, Fold, learned_until, splits_of
from llmrec.features.dataset.negatives import first_of_pairs
from llmrec.features.transforms.projection import Kind
from llmrec.files import write_json
from llmrec.reading.layout import WIDTH
from llmrec.reading.vectors import open_reading_vectors
from llmrec.schema import VECTOR_PREFIX
from llmrec.schema import Column as C
from llmrec.shuffle_files import read_range, write_ranges
from llmrec.storage import Artifact, Storage

_ITEMS = [C.ITEM_ID, C.BRAND, C.PRICE, C.CATEGORIES, C.AVAILABLE_FROM, C.AVAILABLE_UNTIL]
#: Positions of a range of a log: with 64 dimensions their vectors take 68 MB.
RANGE_ROWS = 1 << 18
_MOST_RANGES = 64  # beyond, ranges get longer: who maps a history holds some files of each open
#: Events whose ids lie in one batch.
_ID_ROWS = 1 << 14


@dataclass(frozen=True)
class BuildInputs:
    """What a fold is made from, and where to; `embeddings` is None where no text is asked for."""

    storage: Storage
    corpus: Artifact
    embeddings: Artifact | None
    settings: FeaturesConfig
    split: SplitConfig
    fold: Fold
    history: str  # folder of the history's files
    scratch: str  # folder of what nobody needs afterwards
    readings: Artifact | None = None  # None where nothing was read
    continued: str | None = None  # folder of a bundle whose columns, scales and reductions are kept
    shard_rows: int = SHARD_ROWS
    range_rows: int = RANGE_ROWS

    @property
    def n_reviews(self) -> int:
        return int(self.corpus.dataset("reviews").count_rows())


@dataclass(frozen=True)
class BuildPlan:
    """What the driver needs to know of a fold."""

    t1: int
    t2: int
    splits: dict[str, tuple[int, int]]  # the outcomes, from and to, of train and of the fold's other split
    n_events: int
    n_items: int  # rows of the items' table
    dims: dict[str, int]  # of the vectors of each reduction, as they come
    shards: list[VectorShard]
    ranges: dict[str, EventRanges]  # of each log
    ids: list[str]  # files that `review_ids` reads

    def of(self, name: str, kind: Kind | None = None) -> list[VectorShard]:
        """The shards of a reduction, of one kind or of both."""
        return [p for p in self.shards if p.name == name and kind in (None, p.kind)]


def plan_build(inputs: BuildInputs) -> BuildPlan:
    """Write the history's numbers; to scratch, what else is in order of events, and the vectors' keys in shards."""
    items = inputs.corpus.table("items", _ITEMS)
    data, number = read_numbers(inputs.corpus, items, inputs.settings)
    cut = cutoffs(data.times, inputs.split)
    t1, t2 = math.ceil(cut.t1), math.ceil(cut.t2)  # the same rows lie before them: times are whole
    places = FitRows.of(data, items, learned_until(inputs.fold, t1, t2))
    splits = splits_of(data, inputs.fold, t1, t2)
    ranges = _write_numbers(inputs, data, items)
    n_events, n_items = len(data.times), items.num_rows
    ids, item_ids = _write_ids(inputs, number), items[C.ITEM_ID]
    del data, items
    shards, dims = list[VectorShard](), dict[str, int]()
    if inputs.embeddings is not None and inputs.embeddings.manifest.info["dim"]:  # 0: nobody wrote a word
        shards += _shards_of_texts(inputs, number, item_ids, places)
        dims |= dict.fromkeys((p.name for p in shards), inputs.embeddings.manifest.info["dim"])
    if inputs.readings is not None:
        shards += _shards_of_readings(inputs, inputs.readings, number, places)
        dims[READING] = WIDTH
    uris = inputs.corpus.uris("items") or [inputs.corpus.uri("items.parquet")]
    for name in (n for n in inputs.corpus.dataset("items").schema.names if n.startswith(VECTOR_PREFIX)):
        found = shards_of_column(name, uris, places.items, places.total(name), inputs.scratch)
        shards, dims = shards + found, dims | {p.name: p.width for p in found}
    return BuildPlan(t1, t2, splits, n_events, n_items, dims, shards, ranges, ids)


def _write_numbers(inputs: BuildInputs, data: HistoryData, items: pa.Table) -> dict[str, EventRanges]:
    """The history's files that need no vectors, and scratch about them; the ranges of both logs."""
    folder, scratch, ranges = inputs.history, inputs.scratch, dict[str, EventRanges]()
    data.save_numbers(folder)
    write_further(inputs.corpus, data, f"{folder}/{FURTHER}")
    write_array(f"{folder}/{GLOBAL_STATS}", global_stats_of(data.stars))
    for log, rows, ids in ((USERS, data.user_rows, data.user_ids), (ITEMS, data.item_rows, data.item_ids)):
        events = EntityEvents.of(rows, data.times, len(ids))
        save_events(f"{folder}/{log}", events, data.stars[events.order])
        position = np.empty(len(events), np.int64)
        position[events.order] = np.arange(len(events))
        write_array(positions_uri(scratch, log), position)
        ranges[log] = EventRanges.of(events, max(inputs.range_rows, -(-len(events) // _MOST_RANGES)))
    write_json(f"{folder}/{PARTS}", {log: len(found) for log, found in ranges.items()})
    write_array(outcomes_uri(scratch), np.flatnonzero(data.outcomes))
    write_array(f"{scratch}/where.npy", data.item_ids.rows_of(items[C.ITEM_ID]))
    for name, values in zip(("keys", "times"), first_of_pairs(data), strict=True):
        write_array(f"{scratch}/pair_{name}.npy", values)
    return ranges


def positions_uri(scratch: str, log: str) -> str:
    """Of the position (E,) of each event in a log."""
    return f"{scratch}/{log}-positions.npy"


def outcomes_uri(scratch: str) -> str:
    """Of the numbers, ascending, of the events that are asked for."""
    return f"{scratch}/outcomes.npy"


def _write_ids(inputs: BuildInputs, number: Ints) -> list[str]:
    """The reviews' ids in batches by their numbers; one file for some rows of the corpus."""
    files, start = list[str](), 0
    for table in reviews(inputs.corpus, [C.REVIEW_ID]):
        numbers = number[start : (start := start + table.num_rows)]
        files.append(f"{inputs.scratch}/ids-{len(files):05d}.arrow")
        rows = pa.table({"number": numbers, "id": table[C.REVIEW_ID]})
        write_ranges(files[-1], rows, numbers // _ID_ROWS, -(-len(number) // _ID_ROWS))
    return files


def review_ids(plan: BuildPlan, start: int, stop: int) -> pa.Array:
    """The ids of the events `start` to `stop` (exclusive)."""
    batches = range(start // _ID_ROWS, -(-stop // _ID_ROWS))
    rows = pa.concat_tables([read_range(plan.ids, batch) for batch in batches]).sort_by("number")
    return rows["id"].slice(start - batches.start * _ID_ROWS, stop - start).combine_chunks()


def _shards_of_texts(
    inputs: BuildInputs, number: Ints, item_ids: pa.ChunkedArray, places: FitRows
) -> list[VectorShard]:
    """Shards of reviews, items and, where they were encoded, sequences."""
    assert inputs.embeddings is not None
    source = inputs.embeddings, open_store(inputs.storage, inputs.embeddings)
    wanted: list[tuple[str, Kind, str]] = [(TEXT, "review", "review"), (TEXT, "item", "item")]
    if inputs.embeddings.manifest.info["sequence_items"]:
        wanted.append((SEQUENCE, "review", "sequence"))
    shards = list[VectorShard]()
    for name, kind, texts in wanted:
        of_reviews = kind == "review"
        numbers, ids = (number, _review_ids(inputs)) if of_reviews else (np.arange(len(item_ids)), [item_ids])
        shards += _shards_of_keys(inputs, source, (name, kind, texts), numbers, ids, places)
    return shards


def _shards_of_readings(inputs: BuildInputs, readings: Artifact, number: Ints, places: FitRows) -> list[VectorShard]:
    """Shards of what was read in reviews. Nothing is fitted on them."""
    source = readings, open_reading_vectors(inputs.storage, readings)
    return _shards_of_keys(inputs, source, (READING, "review", "review"), number, _review_ids(inputs), places)


def _review_ids(inputs: BuildInputs) -> Iterator[pa.ChunkedArray]:
    return (t[C.REVIEW_ID] for t in reviews(inputs.corpus, [C.REVIEW_ID]))


def _shards_of_keys(
    inputs: BuildInputs, source: tuple[Artifact, VectorSource], what: tuple[str, Kind, str], numbers: Ints,
    ids: Iterable[pa.ChunkedArray], places: FitRows,
) -> list[VectorShard]:  # fmt: skip
    """Shards of what a store holds under the keys that the artifact ties to `ids`; `what`: reduction, kind, texts."""
    (artifact, store), (name, kind, texts), files, start = source, what, list[str](), 0
    n_shards = max(1, -(-(places.n_reviews if kind == "review" else places.n_items) // inputs.shard_rows))
    for keys, known in keys_of_rows(artifact, texts, ids):
        mine = numbers[start : (start := start + len(keys))][known]
        files.append(f"{inputs.scratch}/{name}-{kind}-keys-{len(files):05d}.arrow")
        fitted_on = np.full(len(mine), -1) if name == READING else places.of_rows(name, kind, mine)
        write_keys(files[-1], mine, fitted_on, keys[known], n_shards)
    total, target = (0 if name == READING else places.total(name)), f"{inputs.scratch}/{name}-{kind}"
    return [VectorShard(name, kind, f"{target}-{at:05d}", total, store, (tuple(files), at)) for at in range(n_shards)]
