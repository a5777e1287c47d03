"""From the tables `events`, `users` and `relations` of a corpus to the files of a history."""

from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.features.asof.further_logs import Happened, write_events, write_names, write_relations
from llmrec.features.asof.history_data import HistoryData, attribute_hash
from llmrec.features.asof.ids import Ids
from llmrec.schema import ATTRIBUTE_PREFIX
from llmrec.schema import Column as C
from llmrec.storage import Artifact

_EVENTS = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.KIND, C.VALUE]


def write_further(corpus: Artifact, data: HistoryData, folder: str) -> None:
    """Write what happened besides, and who follows whom; only names where there is neither."""
    kinds, n_relations = list[str](), 0
    if corpus.holds("events") and corpus.dataset("events").count_rows():
        happened, kinds = _happened(corpus.table("events", _EVENTS), data)
        write_events(folder, happened, kinds, len(data.user_ids), len(data.item_ids), data.settings)
    if corpus.holds("relations"):
        table = corpus.table("relations")
        n_relations = table.num_rows
        if n_relations:
            follower, followed = (data.user_ids.rows_of(table[name]) for name in (C.FOLLOWER_ID, C.FOLLOWED_ID))
            write_relations(folder, follower, followed, table[C.SINCE].fill_null(0).to_numpy(), len(data.user_ids))
    write_names(folder, kinds, n_relations)


def _happened(events: pa.Table, data: HistoryData) -> tuple[Happened, list[str]]:
    """The events in order of (time, event_order), as the reviews', and the kinds that their numbers stand for."""
    order = np.lexsort((events[C.EVENT_ORDER].to_numpy(), events[C.TIMESTAMP].to_numpy()))
    events = events.take(pa.array(order)).combine_chunks()
    kinds = sorted(events[C.KIND].unique().to_pylist())
    numbers = Ids(["", *kinds]).rows_of(events[C.KIND]) - 1
    users, items = data.user_ids.rows_of(events[C.USER_ID]), data.item_ids.rows_of(events[C.ITEM_ID].fill_null(""))
    values = events[C.VALUE].to_pandas().to_numpy(np.float32)
    return Happened(users, items, events[C.TIMESTAMP].to_numpy(), numbers, values), kinds


def user_arrays(corpus: Artifact, user_ids: Ids) -> dict[str, Any]:
    """Users' attributes as hashes by row, a column each; none where the corpus has no users."""
    columns = [n for n in corpus.dataset("users").schema.names if n != C.USER_ID] if corpus.holds("users") else []
    codes, names = np.zeros((len(user_ids), len(columns)), np.int64), dict[int, str]()
    if columns:
        table = corpus.table("users").combine_chunks()
        rows = user_ids.rows_of(table[C.USER_ID])
        for slot, column in enumerate(columns):
            encoded = table[column].combine_chunks().dictionary_encode()
            labels = encoded.dictionary.to_pylist()
            known = np.array([*(attribute_hash(column, label) for label in labels), 0], np.int64)
            codes[rows, slot] = known[encoded.indices.fill_null(len(labels)).to_numpy()]
            shown = (f"{column.removeprefix(ATTRIBUTE_PREFIX)}={label}" for label in labels)
            names |= dict(zip(known[:-1].tolist(), shown, strict=True))
    return {"user_attributes": codes, "user_attribute_names": names}
