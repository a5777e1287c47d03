"""The stage `featurize`: reviews and their vectors in, examples with features, the spec and the history out."""

import datetime as dt

from llmrec.config import RunConfig, SplitConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding import embeddings_of
from llmrec.features.build.plan import BuildInputs
from llmrec.features.dataset.folds import Fold
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage, artifact_id

_STAGE = "examples"


def featurize(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, fold: Fold,
    readings: Artifact | None = None, continued: Artifact | None = None,
) -> Artifact:  # fmt: skip
    """The artifact `examples` of a fold; what exists is reused.

    Fold `validation` learns from events before T1 and holds the splits train and validation, [T1, T2); fold `test`
    learns from events before T2 and holds train and test. `embeddings` may be None where `features.text` is false,
    `readings` where nothing was read. `continued`: a bundle whose columns, scales and reductions are kept, so that its
    models can go on; vocabularies and collaborative scores are made anew.
    Raises ValueError where the corpus has no event to train on, or the encoder was tuned on texts from the fold's
    cut-off on; `tasks.StarvedError` where the cluster has no free CPU.
    """
    embeddings = None if embeddings is None else embeddings_of(storage, embeddings, fold)
    scale = corpus.manifest.info.get("scale", {})
    of_corpus = {k: scale[k] for k in ("liked_from", "disliked_to") if k in scale}
    of_corpus |= {k: v for k, v in corpus.manifest.info.get("outcome", {}).items() if k == "exclude_seen"}
    settings = config.features.model_copy(update=of_corpus)
    sections = {"features": settings.model_dump(), "split": config.split.model_dump(), "fold": fold}
    parents = {a.manifest.stage: a.id for a in (corpus, embeddings, readings, continued) if a is not None}
    made = artifact_id(__name__, sections, parents)
    if (found := storage.find(_STAGE, made)) is not None:
        return found
    from llmrec.features.build.driver import build  # Ray, only where it is used

    texts = (embeddings, readings) if config.features.text else (None, None)
    if texts[0] is not None:
        _refuse_tuned_later(texts[0], corpus, config.split, fold)
    with storage.build(_STAGE, made, module=__name__, config=sections, parents=parents) as writer:
        folders = writer.uri("history"), f"{writer.root}/scratch-{writer.attempt}"
        bundle = None if continued is None else continued.uri("spec/spec.json").removesuffix("/spec/spec.json")
        inputs = BuildInputs(
            storage, corpus, texts[0], settings, config.split, fold, *folders, readings=texts[1], continued=bundle
        )
        build(inputs, writer)
    artifact = storage.find(_STAGE, made)
    assert artifact is not None
    return Artifact(artifact.root, artifact.manifest)


def _refuse_tuned_later(embeddings: Artifact, corpus: Artifact, split: SplitConfig, fold: Fold) -> None:
    """Raise ValueError where the encoder learned from texts that this fold may not have seen."""
    tuned = embeddings.manifest.info.get("tuned_before")
    if tuned is None:
        return
    cut = cutoffs(corpus.table("reviews", [C.TIMESTAMP]).column(C.TIMESTAMP).to_numpy(), split)
    limit = cut.t1 if fold == "validation" else cut.t2
    if tuned > limit:
        found, expected = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat() for ms in (tuned, limit))
        raise ValueError(
            f"encoding.encoder.model: was tuned on texts before {found}, expected none from {expected} on, where fold "
            f"{fold!r} ends what may be learned; tune it on earlier texts, or move split.validation_quantile and "
            "split.test_quantile later"
        )
