"""The stage `featurize`: reviews and their vectors in, examples with features, the spec and the history out."""

import datetime as dt

from llmrec.config import RunConfig, SplitConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding import embeddings_of
from llmrec.features.build.plan import BuildInputs
from llmrec.features.dataset.folds import Fold
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
    Raises ValueError where the corpus has no event to train on, or the encoder or the reader learned from reviews from
    the fold's cut-off on; `tasks.StarvedError` where the cluster has no free CPU.
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
    for made_of in filter(None, texts):
        _refuse_learned_later(made_of, corpus, config.split, fold)
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


def check_origins(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, readings: Artifact | None
) -> None:
    """Raise ValueError where `featurize` would refuse the folds of the first of `rolling_origins`."""
    if "rolling_origins" not in config.evaluation.protocols or not config.features.text:
        return
    first, second = config.evaluation.origins[:2]
    split = SplitConfig(validation_quantile=first, test_quantile=second)
    folds: tuple[Fold, ...] = ("validation", "test")
    for fold in folds:
        for made_of in filter(None, (embeddings_of(storage, embeddings, fold), readings)):
            _refuse_learned_later(made_of, corpus, split, fold)


def _refuse_learned_later(made: Artifact, corpus: Artifact, split: SplitConfig, fold: Fold) -> None:
    """Raise ValueError where an encoder or a reader learned from reviews that this fold may not have seen."""
    learned = made.manifest.info.get("learned_before")
    if learned is None:
        return
    cut = review_cutoffs(corpus, split)
    limit = cut.t1 if fold == "validation" else cut.t2
    if learned > limit:
        found, expected = (dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat() for ms in (learned, limit))
        raise ValueError(
            f"{_LEARNERS[made.manifest.stage]} reviews before {found}, expected none from {expected} on, where fold "
            f"{fold!r} ends what may be learned; let it learn from earlier ones (split.validation_quantile), or move "
            "the cut-offs, or evaluation.origins, later"
        )


#: Stage -> what of it may have learned.
_LEARNERS = {
    "embeddings": "encoding.encoder.model: was tuned on", "readings": "reading.reader: learned from the stars of"
}  # fmt: skip
