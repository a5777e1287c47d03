"""From the corpus's reviews to the numbers of a history, some rows at a time: ids are held once each, texts never."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config import FeaturesConfig
from llmrec.corpus.further import first_events, further_users
from llmrec.features.arrays import Ints
from llmrec.features.asof.history_data import HistoryData
from llmrec.features.asof.ids import Ids
from llmrec.features.build.further_tables import user_arrays
from llmrec.features.build.table_arrays import context_arrays, event_arrays, item_arrays
from llmrec.schema import CONTEXT_PREFIX
from llmrec.schema import Column as C
from llmrec.storage import Artifact

#: Rows of `reviews` in memory at a time, at least.
ROWS = 1 << 20
_BATCH = 1 << 16
_COLUMNS = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS]


def read_numbers(corpus: Artifact, items: pa.Table, settings: FeaturesConfig) -> tuple[HistoryData, Ints]:
    """The data of a history without vectors, and the number (E,) of each row of `reviews` in order of events."""
    contexts = tuple(n for n in corpus.dataset("reviews").schema.names if n.startswith(CONTEXT_PREFIX))
    seen, since = first_events(corpus)
    user_ids = _ids(corpus, C.USER_ID, further_users(corpus))
    item_ids = _ids(corpus, C.ITEM_ID, items[C.ITEM_ID], seen)
    marked = [C.OUTCOME] * (C.OUTCOME in corpus.dataset("reviews").schema.names)
    parts, names = list[dict[str, Any]](), dict[int, str]()
    for table in reviews(corpus, [*_COLUMNS, *marked, *contexts], max(ROWS, len(user_ids), len(item_ids))):
        said = context_arrays(table, contexts)
        parts.append(event_arrays(table, user_ids, item_ids) | {"contexts": said["contexts"]})
        names |= said["context_names"]
    events = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    order = np.lexsort((events["event_order"], events["times"]))
    events = {name: events.pop(name)[order] for name in list(events)}
    events |= {"context_columns": contexts, "context_names": names}
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    nothing = np.zeros((len(item_ids), 0), np.float32)
    first = item_ids.rows_of(pa.chunked_array([seen])), since
    known = item_arrays(items, item_ids.rows_of(items[C.ITEM_ID]), len(item_ids), first)
    known |= user_arrays(corpus, user_ids)
    data = HistoryData(user_ids=user_ids, item_ids=item_ids, settings=settings, **events, **known,
                       description=nothing, vectors_of_items=nothing)  # fmt: skip
    return data, number


def reviews(corpus: Artifact, columns: Sequence[str], rows: int = ROWS) -> Iterator[pa.Table]:
    """The table `reviews` in order of its files, `rows` at a time or somewhat more; once, where there are none."""
    dataset = corpus.dataset("reviews")
    held, n = list[pa.RecordBatch](), 0
    for batch in dataset.to_batches(columns=list(columns), batch_size=_BATCH, batch_readahead=1, fragment_readahead=1):
        held, n = [*held, batch], n + batch.num_rows
        if n >= rows:
            yield pa.Table.from_batches(held)
            held, n = [], 0
    if n or not dataset.count_rows():
        yield pa.Table.from_batches(held, pa.schema([dataset.schema.field(name) for name in columns]))


def _ids(corpus: Artifact, name: str, *more: pa.ChunkedArray | pa.Array) -> Ids:
    """All ids of a column of `reviews`, and those of other columns."""
    known, new, n_new = pa.array([], pa.string()), list[pa.Array](), 0
    for table in reviews(corpus, [name], _BATCH):
        new.append(pc.unique(table[name]))
        n_new += len(new[-1])
        if n_new > max(ROWS, len(known)):  # seldom, as there are more and more
            known, new, n_new = pc.unique(pa.concat_arrays([known, *new])), [], 0
    return Ids.of(known, *new, *more)
