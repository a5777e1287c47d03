"""Controls that retrain: the same model, rows, split and seed with the text withheld, replaced or encoded otherwise.

A control is fitted through the same stages as the model itself, with one input swapped. Each stage is an artifact, so a
study that is stopped goes on where it was.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from llmrec.config import EncoderConfig, RunConfig
from llmrec.encoding import EmbeddingStore, encode, open_store
from llmrec.evaluation import evaluate
from llmrec.evaluation.ablation.refit import fit_variant
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage, artifact_id
from llmrec.variants import CONTROLS, Control, Swap


def run_study(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, bundles: Mapping[str, Artifact]
) -> Artifact:
    """The report, with a row for each control that `evaluation.controls` asks for, and `text` set against it.

    Controls are fitted one a Ray task where a cluster is connected.
    """
    names = control_names(config)
    if not names:
        return evaluate(config, storage, corpus, embeddings, bundles)
    from llmrec.tasks import parallel_map  # Ray, only where it is used

    # each control trains in its own process: workers inside it would wait for CPUs that the others hold
    alone = config.model_copy(update={"training": config.training.model_copy(update={"workers": 0})})
    controls = [CONTROLS[n] for n in names]
    vectors = [control_embeddings(config, storage, corpus, embeddings, c) for c in controls]
    wanted = [(alone, storage, corpus, v, c.variant) for v, c in zip(vectors, controls, strict=True)]
    fitted = dict(zip(names, parallel_map(fit_variant, wanted, stage="evaluate"), strict=True))
    return evaluate(config, storage, corpus, embeddings, bundles, fitted)


def control_names(config: RunConfig) -> tuple[str, ...]:
    """Those of the config; where it names none, all for size `full`, none for `quick` or without text."""
    asked = config.evaluation.controls
    if asked is None:
        asked = tuple(CONTROLS) if config.evaluation.size == "full" and config.features.text else ()
    return asked


def control_embeddings(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, control: Control
) -> Artifact:
    """The `embeddings` that the control reads: encoded otherwise, with texts swapped, or as they are."""
    if control.backend is not None:
        encoding = config.encoding.model_copy(update={"encoder": EncoderConfig(backend=control.backend)})
        embeddings = encode(config.model_copy(update={"encoding": encoding}), storage, corpus)
    return embeddings if control.swap is None else swapped(storage, embeddings, control.swap, config.seed)


def swapped(storage: Storage, embeddings: Artifact, swap: Swap, seed: int) -> Artifact:
    """An `embeddings` artifact whose texts were swapped; the original's vectors stay as they are."""
    read = {"swap": swap, "seed": seed}
    parents = {"embeddings": embeddings.id}
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
