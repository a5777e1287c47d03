"""A corpus's reviews beside their vectors, some at a time, in order of the corpus's files."""

from collections.abc import Iterator, Sequence
from itertools import tee

import numpy as np
import pyarrow as pa

from llmrec.encoding import keys_of_rows, open_store
from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.ids import Ids
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

_ROWS = 8_192


def reviews_with_vectors(
    storage: Storage, corpus: Artifact, embeddings: Artifact | None, item_ids: Ids, columns: Sequence[str]
) -> Iterator[tuple[pa.RecordBatch, Ints, Floats32]]:
    """The `columns` of reviews, rows of their items among `item_ids`, and vectors (n, dim), zero where there is none.

    Without embeddings dim is 0.
    """
    wanted = [C.REVIEW_ID, C.ITEM_ID, *columns]
    read, ahead = tee(corpus.dataset("reviews").to_batches(columns=wanted, batch_size=_ROWS, batch_readahead=1))
    if embeddings is None:
        for batch in read:
            yield batch, _rows(batch, item_ids), np.zeros((len(batch), 0), np.float32)
        return
    store, dim = open_store(storage, embeddings), int(embeddings.manifest.info["dim"])
    keys = keys_of_rows(embeddings, "review", (pa.chunked_array([batch[C.REVIEW_ID]]) for batch in ahead))
    for batch, (key, known) in zip(read, keys, strict=True):
        vectors, found = np.zeros((len(batch), dim), np.float32), store.find(key[known])
        if found.present.any():
            vectors[known] = found.vectors
        yield batch, _rows(batch, item_ids), vectors


def _rows(batch: pa.RecordBatch, item_ids: Ids) -> Ints:
    return item_ids.rows_of(pa.chunked_array([batch[C.ITEM_ID]]))
