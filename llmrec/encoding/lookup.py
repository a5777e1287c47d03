"""Vectors and keys of a corpus's texts, by id or row by row, from the artifact `embeddings` and its store."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from llmrec.config import EncoderConfig
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.store.keys import Keys, keys_array
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

#: A parent of `embeddings`: what fold `validation` reads in their place.
EARLIER = "earlier"


def embeddings_of(storage: Storage, embeddings: Artifact, fold: str) -> Artifact:
    """Those that a fold reads: of fold `validation` the earlier ones, where there are such."""
    earlier = embeddings.manifest.parents.get(EARLIER)
    if fold != "validation" or earlier is None:
        return embeddings
    found = storage.find("embeddings", earlier)
    if found is None:
        raise FileNotFoundError(f"embeddings {earlier}, which fold {fold!r} reads, are gone; run jobs.encode again")
    return found


def open_store(storage: Storage, embeddings: Artifact) -> EmbeddingStore:
    """The store that `embeddings` was written to."""
    info = embeddings.manifest.info
    return EmbeddingStore(storage.root, info["fingerprint"], info["storage_dtype"])


def encoder_config(embeddings: Artifact) -> EncoderConfig:
    """The encoder that made `embeddings`, for `make_encoder`: what encodes fresh text into the same space."""
    return EncoderConfig.model_validate(embeddings.manifest.info["encoder"])


def load_vectors(
    storage: Storage, embeddings: Artifact, kind: str, ids: Sequence[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(vectors (n, dim), present (n,)) of reviews or items by id; zero rows where there is no text or no vector.

    `kind` is "review", "item", or, where `encoding.sequence_items` is set, "sequence" (by the id of its last review).
    Memory: the vectors asked for, and the ids and keys of that kind.
    """
    keys, known = load_keys(embeddings, kind, pa.chunked_array([pa.array(ids, pa.string())]))
    rows = np.flatnonzero(known)
    found = open_store(storage, embeddings).find(keys[rows])
    vectors = np.zeros((len(ids), embeddings.manifest.info["dim"]), np.float32)
    present = np.zeros(len(ids), np.bool_)
    present[rows] = found.present
    if found.present.any():
        vectors[rows] = found.vectors
    return vectors, present


def load_keys(embeddings: Artifact, kind: str, ids: pa.ChunkedArray) -> tuple[Keys, npt.NDArray[np.bool_]]:
    """(keys (n,) for `EmbeddingStore.find`, whether there is one (n,)) of the texts of `ids`; `kind` as for vectors."""
    table = _text_keys(embeddings, kind).to_table()
    return _keys(table[C.KEY].take(pc.index_in(ids, value_set=table["id"])))


def keys_of_rows(
    embeddings: Artifact, kind: str, ids: Iterable[pa.ChunkedArray]
) -> Iterator[tuple[Keys, npt.NDArray[np.bool_]]]:
    """`load_keys` of all rows of the corpus, in order of its files, for each of `ids` in turn; nothing is searched for.

    Raises ValueError where the ids are others, or in another order.
    """
    scanner = _text_keys(embeddings, kind)
    batches, held = scanner.to_batches(), scanner.projected_schema.empty_table()
    for wanted in ids:
        while held.num_rows < len(wanted) and (batch := next(batches, None)) is not None:
            held = pa.concat_tables([held, pa.Table.from_batches([batch])])
        found, held = held.slice(0, len(wanted)), held.slice(len(wanted))
        if not found["id"].equals(wanted):
            raise ValueError(
                f"{embeddings.root}: the ids of its {kind} texts are not those of the corpus, row by row; expected the "
                "embeddings of this corpus: run encode again"
            )
        yield _keys(found[C.KEY])


def _text_keys(embeddings: Artifact, kind: str) -> pds.Scanner:
    if kind not in ("review", "item", "sequence"):
        raise ValueError(f"kind {kind!r}: expected 'review', 'item' or 'sequence'")
    return embeddings.dataset("text_keys").scanner(
        columns=["id", C.KEY], filter=pc.field(C.KIND) == kind, batch_readahead=1, fragment_readahead=1
    )


def _keys(column: pa.ChunkedArray) -> tuple[Keys, npt.NDArray[np.bool_]]:
    known = column.is_valid().to_numpy()
    keys = np.zeros(len(column), keys_array([]).dtype)
    keys[known] = np.concatenate([keys_array([]), *(keys_array(c.drop_null().to_pylist()) for c in column.chunks)])
    return keys, known
