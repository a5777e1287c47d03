"""Rows of `examples` as column-selected numpy arrays, each worker reading only its own."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config.data.outcomes import TaskConfig
from llmrec.features.asof.history import History
from llmrec.features.dataset.labels import label_columns, labels_of
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureSelection
from llmrec.files import cache_folder
from llmrec.schema import C
from llmrec.storage import Artifact

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: Bytes of an array of rows up to which it is held in memory.
IN_MEMORY = 1 << 27


@dataclass(frozen=True)
class Shard:
    """Rank `rank` of `world` holds rows rank, rank + world, …: every row exactly once, counts differing by at most one.

    A stride, not a range, so that each worker's rows span the whole time and its batches are neighbours in time.
    """

    rank: int = 0
    world: int = 1

    def of(self, n: int) -> Ints:
        """Row numbers, of n, that this rank holds."""
        return np.arange(self.rank, n, self.world, dtype=np.int64)


@dataclass(frozen=True)
class Examples:
    """N rows in order of time. Features keep the variant's columns only."""

    item_ids: npt.NDArray[np.object_]  # (N,), or none where they were not asked for
    user_ids: npt.NDArray[np.object_]  # likewise
    query: Ints  # (N,) number of the click that a row belongs to
    times: Ints  # (N,) ms
    click: Floats  # (N,) 0 or 1; the label `like` where that was read
    user_idx: Ints  # (N,)
    item_idx: Ints  # (N,)
    history: Ints  # (N, L) item_idx, oldest first, left-padded with 0
    ages: Floats  # (N, L) log(1 + days) since each of them, 0 where padded
    user: Floats  # (N, Du)
    item: Floats  # (N, Di)
    pair: Floats  # (N, Dp)
    outcomes: Floats  # (N, K) the labels that were asked for, NaN where nobody knows; K = 0: none

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: npt.NDArray[np.integer] | slice) -> Self:
        """The rows `index`, in that order, in memory."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{k: v[index] if len(v) else v for k, v in values.items()})

    @property
    def dense(self) -> Floats:
        """(N, Du + Di + Dp): what the ranker reads."""
        return np.concatenate([self.user, self.item, self.pair], axis=1)


def load_features(examples: Artifact) -> tuple[FeatureSpec, History]:
    """The fitted features and the as-of state that an `examples` artifact holds."""
    return load_spec(examples), History.load(_folder(examples, "history"))


def load_spec(examples: Artifact) -> FeatureSpec:
    """The fitted features alone."""
    return FeatureSpec.load(_folder(examples, "spec"))


def _folder(examples: Artifact, part: str) -> str:
    return examples.uris(part)[0].rsplit(f"/{part}/", 1)[0] + f"/{part}"


def read_examples(
    artifact: Artifact,
    split: str,
    selection: FeatureSelection,
    history_length: int,
    *,
    clicks_only: bool = False,
    with_pairs: bool = True,
    with_ids: bool = True,
    shard: Shard = Shard(),  # frozen
    label: Literal["click", "like"] = "click",
    candidates_only: bool = True,
    outcomes: Sequence[TaskConfig] = (),
) -> Examples:
    """The split's rows (`clicks_only`: without negatives) that `shard` holds, a record batch in memory at a time.

    Arrays of more than IN_MEMORY bytes lie in files of `files.cache_folder` that vanish with the process: rows may be
    larger than memory, and are read as fast where they are not.

    With the label `like` these are all reviews with stars, and nothing else. `outcomes`: labels beside it.

    Clicks on items that nobody could have recommended yet (`candidate` false: an item's very first event) are left
    out: no negative can be like them, so a model would learn to tell them by their missing past. The manifest of
    `examples` counts them.

    Raises ValueError where the split has none at all, OSError where the disk has no room for them.
    """
    condition, labels = _condition(split, label, candidates_only, clicks_only), C.CLICK if label == "click" else C.LIKE
    dataset = artifact.dataset("examples")
    told = label_columns(outcomes, dataset.schema.names)
    times = dataset.to_table(columns=[C.TIMESTAMP], filter=condition)[C.TIMESTAMP].to_numpy()
    if not len(times):
        raise ValueError(
            f"{artifact.root}: split {split!r} holds no {'clicks' if clicks_only else 'rows'}, expected some; give the "
            "corpus more events or move split.validation_quantile and split.test_quantile"
        )
    mine = shard.of(len(times))
    place = np.empty(len(mine), np.int64)
    place[np.argsort(times[mine], kind="stable")] = np.arange(len(mine))
    ids, pairs = [C.ITEM_ID, C.USER_ID] * with_ids, [C.PAIR_FEATURES] * with_pairs
    columns = [*ids, C.QUERY_ID, C.TIMESTAMP, labels, C.USER_IDX, C.ITEM_IDX, C.HISTORY, C.HISTORY_AGES,
               C.USER_FEATURES, C.ITEM_FEATURES, *pairs, *(told - {labels})]  # fmt: skip
    batches = dataset.to_batches(columns=columns, filter=condition, batch_readahead=2, fragment_readahead=1)
    parts = (_arrays(part, labels, selection, history_length, outcomes) for part in _shared_out(batches, shard))
    return _placed(parts, place, () if with_ids else ("item_ids", "user_ids"))


def _condition(split: str, label: str, candidates_only: bool, clicks_only: bool) -> pc.Expression:
    condition = pc.field(C.SPLIT) == split
    if label == "like":
        condition &= pc.field(C.LIKE).is_valid()
    elif candidates_only:
        condition &= pc.field(C.CANDIDATE)
    return condition & (pc.field(C.CLICK) == 1) if clicks_only else condition


def _shared_out(batches: Iterable[pa.RecordBatch], shard: Shard) -> Iterator[pa.RecordBatch]:
    """The shard's rows of each batch."""
    seen = 0
    for batch in batches:
        some = np.arange((shard.rank - seen) % shard.world, batch.num_rows, shard.world)
        seen += batch.num_rows
        yield batch.take(pa.array(some))


def _placed(parts: Iterable[Examples], place: Ints, absent: tuple[str, ...]) -> Examples:
    """The rows of all parts, the nth of them at `place[n]`; without the columns `absent`."""
    rows: dict[str, npt.NDArray[Any]] = {}
    done = 0
    for part in map(vars, parts):
        rows = rows or {name: _room(0 if name in absent else len(place), values) for name, values in part.items()}
        there = place[done : (done := done + len(part["times"]))]
        for name in rows.keys() - absent:
            rows[name][there] = part[name]
    return Examples(**rows)


def _room(n: int, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array (n, ...) of another's kind, in memory or, if it is large, in a file that nobody else sees."""
    shape = (n, *like.shape[1:])
    size = int(np.prod(shape)) * like.itemsize
    if like.dtype == np.object_ or size <= IN_MEMORY:
        return np.empty(shape, like.dtype)
    with tempfile.TemporaryFile(dir=cache_folder()) as file:
        os.posix_fallocate(file.fileno(), 0, size)  # no room is an error now, and not a crash at some later write
        return np.memmap(file, like.dtype, "r+", shape=shape).view(np.ndarray)


def _arrays(
    batch: pa.RecordBatch, label: str, chosen: FeatureSelection, history_length: int, outcomes: Sequence[TaskConfig]
) -> Examples:
    pair = C.PAIR_FEATURES in batch.schema.names
    return Examples(
        item_ids=_ids(batch, C.ITEM_ID),
        user_ids=_ids(batch, C.USER_ID),
        query=batch[C.QUERY_ID].to_numpy(),
        times=batch[C.TIMESTAMP].to_numpy(),
        click=batch[label].to_numpy().astype(np.float32),
        user_idx=batch[C.USER_IDX].to_numpy().astype(np.int64),
        item_idx=batch[C.ITEM_IDX].to_numpy().astype(np.int64),
        history=_left_padded(batch[C.HISTORY], history_length).astype(np.int64),
        ages=_left_padded(batch[C.HISTORY_AGES], history_length).astype(np.float32),
        user=_matrix(batch[C.USER_FEATURES])[:, chosen.user],
        item=_matrix(batch[C.ITEM_FEATURES])[:, chosen.item],
        pair=_matrix(batch[C.PAIR_FEATURES])[:, chosen.pair] if pair else np.zeros((batch.num_rows, 0), np.float32),
        outcomes=labels_of(batch, outcomes),
    )


def _ids(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.object_]:
    """(n,) ids, each held once; none where the column was not read."""
    if name not in batch.schema.names:
        return np.zeros(0, np.object_)
    encoded = batch[name].dictionary_encode()
    ids: npt.NDArray[np.object_] = encoded.dictionary.to_numpy(zero_copy_only=False)[encoded.indices.to_numpy()]
    return ids


def _matrix(column: pa.FixedSizeListArray) -> Floats:
    """(n, dim) of a fixed-size list column."""
    values = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(len(column), column.type.list_size)


def _left_padded(column: pa.ListArray, length: int) -> npt.NDArray[Any]:
    """(n, length): the last `length` entries of each list, zeros before them."""
    padded = np.zeros((len(column), length), column.type.value_type.to_pandas_dtype())
    sizes = column.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    values = column.flatten().to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(column)), sizes)
    from_end = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(values))  # 1 for a list's last entry
    keep = from_end <= length
    padded[row[keep], length - from_end[keep]] = values[keep]
    return padded
