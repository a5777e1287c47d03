"""Embeddings whose texts were swapped: what the controls read in the place of the corpus's own."""

import numpy as np
import pyarrow as pa

from llmrec.encoding import EmbeddingStore, embeddings_of, open_store
from llmrec.encoding.lookup import EARLIER
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage, artifact_id
from llmrec.variants import Swap


def swapped(storage: Storage, embeddings: Artifact, swap: Swap, seed: int) -> Artifact:
    """An `embeddings` artifact whose texts were swapped; the original's vectors stay as they are."""
    read = {"swap": swap, "seed": seed}
    parents = {"embeddings": embeddings.id}
    if (of_validation := embeddings_of(storage, embeddings, "validation")).id != embeddings.id:
        parents |= {EARLIER: swapped(storage, of_validation, swap, seed).id}
    made = artifact_id(__name__, read, parents)
    if (found := storage.find("embeddings", made)) is not None:
        return found
    info = dict(embeddings.manifest.info)
    with storage.build("embeddings", made, module=__name__, config=read, parents=parents) as writer:
        table = embeddings.table("text_keys")
        if swap == "random_vectors":
            info["fingerprint"] = _random_store(storage, embeddings, table, seed)
        else:
            table = _respelt(table, swap, seed)
        writer.write_table("text_keys", table)
        writer.info |= info | {"control": swap}
    built = storage.find("embeddings", made)
    assert built is not None
    return Artifact(built.root, built.manifest)


def _respelt(table: pa.Table, swap: Swap, seed: int) -> pa.Table:
    """`text_keys` with the keys of the reviews taken away, or given to other reviews."""
    is_review = np.array(table[C.KIND].to_pylist()) == "review"
    keys = np.array(table[C.KEY].to_pylist(), dtype=object)
    if swap == "masked_reviews":
        keys[is_review] = None
    else:
        keys[is_review] = np.random.default_rng(seed).permutation(keys[is_review])
    place = table.schema.get_field_index(C.KEY)
    return table.set_column(place, table.schema.field(C.KEY), pa.array(keys.tolist(), pa.string()))


def _random_store(storage: Storage, embeddings: Artifact, table: pa.Table, seed: int) -> str:
    """Random unit vectors under the same keys in a store of their own; returns its fingerprint."""
    store = open_store(storage, embeddings)
    fingerprint = f"{store.fingerprint}-random-{seed}"
    keys = sorted(set(table[C.KEY].drop_null().to_pylist()))
    vectors = np.random.default_rng(seed).standard_normal((len(keys), embeddings.manifest.info["dim"]), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    zeros = np.zeros(len(keys), np.int32)
    EmbeddingStore(storage.root, fingerprint, store.dtype).put(keys, vectors, zeros, zeros)
    return fingerprint
