"""What a corpus says beside its reviews of who is in it, and since when its items are known."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.schema import Column as C
from llmrec.storage import Artifact

_BATCH = 1 << 20
#: Tables that name users, and where.
_NAMED = {"events": (C.USER_ID,), "users": (C.USER_ID,), "relations": (C.FOLLOWER_ID, C.FOLLOWED_ID)}


def further_users(corpus: Artifact) -> pa.Array:
    """The ids, each once, of everybody in `events`, `users` and `relations`; none where there are no such tables."""
    found = pa.array([], pa.string())
    for table, names in _NAMED.items():
        for batch in _batches(corpus, table, list(names)):
            found = pc.unique(pa.concat_arrays([found, *(pc.unique(batch.column(name)) for name in names)]))
    return found


def first_events(corpus: Artifact) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Ids of the items of `events` and ms of the first event of each, of any kind, both (n,)."""
    known = pa.table({C.ITEM_ID: pa.array([], pa.string()), "first": pa.array([], pa.int64())})
    for batch in _batches(corpus, "events", [C.ITEM_ID, C.TIMESTAMP]):
        new = pa.table([batch.column(0), batch.column(1)], names=known.column_names)
        both = pa.concat_tables([known, new.filter(pc.is_valid(new[C.ITEM_ID]))])
        least = both.group_by(C.ITEM_ID).aggregate([("first", "min")])
        known = pa.table([least[C.ITEM_ID], least["first_min"]], names=known.column_names)
    known = known.combine_chunks()
    return known[C.ITEM_ID].combine_chunks(), known["first"].to_numpy()


def _batches(corpus: Artifact, table: str, names: list[str]) -> Iterator[pa.RecordBatch]:
    if corpus.holds(table):
        dataset = corpus.dataset(table)
        yield from dataset.to_batches(columns=names, batch_size=_BATCH, batch_readahead=1, fragment_readahead=1)
