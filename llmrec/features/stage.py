"""The stage `featurize`: reviews and their vectors in, examples with features, the spec and the history out."""

import math
from typing import Any

import numpy as np

from llmrec.config import RunConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import load_vectors
from llmrec.features.asof import Floats32
from llmrec.features.examples import example_table
from llmrec.features.history_data import event_sort
from llmrec.features.prepare import Fold, Prepared, prepare
from llmrec.features.spec import FeatureSpec
from llmrec.schema import CONTEXT_PREFIX
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id, write_parquet

_STAGE, _ROOM = "examples", "features"


def featurize(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, fold: Fold
) -> Artifact:
    """The artifact `examples` of a fold; what exists is reused.

    Fold `validation` learns from events before T1 and holds the splits train and validation, [T1, T2); fold `test`
    learns from events before T2 and holds train and test. `embeddings` may be None where `features.text` is false.
    Raises ValueError where the corpus has no event to train on.
    """
    sections = {"features": config.features.model_dump(), "split": config.split.model_dump(), "fold": fold}
    parents = {a.manifest.stage: a.id for a in (corpus, embeddings) if a is not None}
    made = artifact_id(_ROOM, sections, parents)
    if (found := storage.find(_STAGE, made)) is not None:
        return found
    with storage.build(_STAGE, made, room=_ROOM, config=sections, parents=parents) as writer:
        _build(config, storage, corpus, embeddings if config.features.text else None, fold, writer)
    artifact = storage.find(_STAGE, made)
    assert artifact is not None
    return Artifact(artifact.root, artifact.manifest)


def _build(config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, fold: Fold,
           writer: ArtifactWriter) -> None:  # fmt: skip
    columns = [C.REVIEW_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.STARS]
    columns += [name for name in corpus.dataset("reviews").schema.names if name.startswith(CONTEXT_PREFIX)]
    reviews, items = corpus.table("reviews", columns), corpus.table("items")
    reviews = reviews.take(event_sort(reviews)).combine_chunks()
    cut = cutoffs(reviews[C.TIMESTAMP].to_numpy(), config.split)
    t1, t2 = math.ceil(cut.t1), math.ceil(cut.t2)  # the same rows lie before them: times are whole
    vectors: list[Floats32] = []
    if embeddings is not None:
        review_ids, item_ids = reviews[C.REVIEW_ID].to_pylist(), items[C.ITEM_ID].to_pylist()
        asked = [("review", review_ids), ("item", item_ids)]
        asked += [("sequence", review_ids)] if embeddings.manifest.info["sequence_items"] else []
        vectors = [load_vectors(storage, embeddings, kind, ids)[0] for kind, ids in asked]
    prepared = prepare(config.features, reviews, items, *vectors, t1=t1, t2=t2, fold=fold)
    prepared.history.save(writer.uri("history"))
    prepared.spec.save(writer.uri("spec"))
    times = reviews[C.TIMESTAMP].to_numpy()
    covered = len(times) if fold == "test" else int((times < t2).sum())
    _write_examples(writer, prepared, covered)
    writer.info |= _info(prepared.spec, t1, t2, fold)


def _write_examples(writer: ArtifactWriter, prepared: Prepared, n_reviews: int) -> None:
    positives = 0
    for group in prepared.clicks:
        for number, chunk in enumerate(group.chunks()):
            table = example_table(prepared.history, prepared.spec, chunk)
            write_parquet(writer.uri(f"examples/{group.split}-{number:05d}.parquet"), table)
            positives += int(np.sum(table[C.CLICK].to_numpy()))
    writer.counts |= {"rows_in": n_reviews, "rows_out": positives, "quarantined": 0}
    for group in prepared.clicks:
        writer.counts[f"clicks_{group.split}"] = len(group.events)
        data, known = prepared.history.data, prepared.history.known_since
        new = known[data.item_rows[group.events]] >= data.times[group.events]
        writer.counts[f"clicks_on_new_items_{group.split}"] = int(new.sum())  # no candidates: never negatives either
        writer.counts[f"negatives_{group.split}"] = int((group.negatives > 0).sum())
        writer.counts[f"negatives_missing_{group.split}"] = int((group.negatives == 0).sum())


def _info(spec: FeatureSpec, t1: int, t2: int, fold: Fold) -> dict[str, Any]:
    columns = [*spec.user_columns, *spec.item_columns, *spec.pair_columns]
    widths = {name: sum(c.family == name for c in columns) for name in spec.families}
    return {"t1": t1, "t2": t2, "fold": fold, "cutoff": spec.cutoff, "families": widths,
            "n_users": spec.n_users, "n_items": spec.n_items}  # fmt: skip
