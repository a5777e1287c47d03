"""The files that make an evaluation open to recomputation, and reading the lists back from them.

    recommendations/MODEL.parquet   query_id, user_id, item_id, rank (1 is best), score
    truth.parquet                   query_id, user_id, item_id, timestamp: one row a relevant item
    clicks/MODEL.parquet            user_id, item_id, timestamp, label, probability
    likes/MODEL.parquet             the same; the rows are reviews
    stars/MODEL.parquet             user_id, item_id, timestamp, stars, predicted

The first protocol's files lie at the top, those of any other under a folder of its name.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.evaluation.interactions import Interactions, Ints
from llmrec.evaluation.protocols import Queries
from llmrec.evaluation.topk import TopK
from llmrec.schema import Column as C


def take_ids(ids: tuple[str, ...], rows: Ints) -> pa.Array:
    """The ids of dense rows, dictionary-encoded: each id is stored once."""
    return pa.DictionaryArray.from_arrays(pa.array(rows, pa.int32()), pa.array(list(ids), pa.string()))


def recommendations(top: TopK, queries: Queries, data: Interactions) -> pa.Table:
    """One row a listed item."""
    query, place = np.nonzero(top.item_rows >= 0)
    return pa.table(
        {
            C.QUERY_ID: query,
            C.USER_ID: take_ids(data.user_ids, queries.user[query]),
            C.ITEM_ID: take_ids(data.item_ids, top.item_rows[query, place]),
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
