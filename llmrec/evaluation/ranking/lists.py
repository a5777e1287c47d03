"""The files that make an evaluation open to recomputation, and reading the lists back from them.

    recommendations/MODEL.parquet   query_id, user_id, item_id, rank (1 is best), score
    truth.parquet                   query_id, user_id, item_id, timestamp: one row a relevant item
    clicks/MODEL.parquet            user_id, item_id, timestamp, label, probability
    likes/MODEL.parquet             the same; the rows are reviews
    stars/MODEL.parquet             user_id, item_id, timestamp, stars, predicted
    family_weights/VARIANT.parquet      `schema.FAMILY_WEIGHTS`: how a learned fusion weighed the families at each click

The first protocol's files lie at the top, those of any other under a folder of its name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.evaluation.data.folds import Queries
from llmrec.evaluation.ranking.topk import TopK
from llmrec.features.asof.interactions import Interactions, Ints
from llmrec.files import filesystem
from llmrec.schema import Column as C

#: Listed items of one model that wait until they are worth a row group.
_ROW_GROUP = 500_000


def take_ids(ids: Sequence[str] | pa.Array, rows: npt.NDArray[np.integer[Any]]) -> pa.Array:
    """The ids of dense rows, dictionary-encoded: each id is stored once."""
    return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), pa.array(ids, pa.string()))


class Lists:
    """Files `recommendations/MODEL.parquet`, one row a listed item, that grow block by block."""

    def __init__(self, folder: str, data: Interactions) -> None:
        """`folder`: URI of that folder."""
        self._folder = folder
        self._users, self._items = (pa.array(ids, pa.string()) for ids in (data.user_ids, data.item_ids))
        self._files: dict[str, pq.ParquetWriter] = {}
        self._waiting: dict[str, list[pa.Table]] = {}

    def __enter__(self) -> "Lists":
        return self

    def __exit__(self, *_: object) -> None:
        for name, file in self._files.items():
            self._flush(name)
            file.close()

    def write(self, model: str, seed: int, first: int, users: Ints, top: TopK) -> None:
        """A block's lists: `users` (B,), queries `first`, `first` + 1, …; `seed` counts from 0."""
        name = model if seed == 0 else f"{model}.seed{seed + 1}"
        table = self._rows(first, users, top)
        if name not in self._files:
            fs, path = filesystem(f"{self._folder}/{name}.parquet")
            fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
            self._files[name] = pq.ParquetWriter(path, table.schema, filesystem=fs, compression="zstd")
        self._waiting.setdefault(name, []).append(table)
        if sum(map(len, self._waiting[name])) >= _ROW_GROUP:
            self._flush(name)

    def _flush(self, name: str) -> None:
        if self._waiting[name]:
            self._files[name].write_table(pa.concat_tables(self._waiting[name]).combine_chunks())
        self._waiting[name] = []

    def _rows(self, first: int, users: Ints, top: TopK) -> pa.Table:
        query, place = np.nonzero(top.item_rows >= 0)
        return pa.table(
            {
                C.QUERY_ID: first + query,
                C.USER_ID: take_ids(self._users, users[query]),
                C.ITEM_ID: take_ids(self._items, top.item_rows[query, place]),
                C.RANK: (place + 1).astype(np.int32),
                C.SCORE: top.scores[query, place],
            }
        )


def truth(queries: Queries, data: Interactions) -> pa.Table:
    """One row a relevant item, `timestamp` being its event's."""
    query = np.repeat(np.arange(len(queries)), queries.n_relevant)
    return pa.table(
        {
            C.QUERY_ID: query,
            C.USER_ID: take_ids(data.user_ids, queries.user[query]),
            C.ITEM_ID: take_ids(data.item_ids, queries.item),
            C.TIMESTAMP: data.time[queries.event],
        }
    )


def labelled(
    data: Interactions, user: Ints, item: Ints, time: Ints, columns: Mapping[str, npt.NDArray[Any]]
) -> pa.Table:
    """One row a labelled (user, item, time) with further columns."""
    ids: dict[str, Any] = {
        C.USER_ID: take_ids(data.user_ids, user),
        C.ITEM_ID: take_ids(data.item_ids, item),
        C.TIMESTAMP: time,
    }
    return pa.table(ids | dict(columns))
