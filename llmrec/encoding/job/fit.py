"""Fitting a static encoder on the training part of a corpus: what was written before T1, and on nothing after."""

import heapq
import logging
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc

from llmrec.config import EncoderConfig, SplitConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding.encoders.fingerprint import STATE_WORDS, named_content
from llmrec.encoding.encoders.static.vector_file import is_vector_file
from llmrec.encoding.store.keys import text_key
from llmrec.encoding.texts.corpus_texts import ids_and_texts
from llmrec.files import read_bytes
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage, fingerprint

log = logging.getLogger(__name__)

_MAX_TEXTS = 200_000
_MODEL_DEFAULT = EncoderConfig.model_fields["model"].default


def fitted(config: EncoderConfig, split: SplitConfig, storage: Storage, corpus: Artifact) -> EncoderConfig:
    """`config` with `model` naming the fitted state; fits it where nobody has yet. Others come back as they are.

    Fitted on reviews before T1 alone, so that it is leak-free for both folds.
    """
    if not needs_fit(config):
        return config
    made_of: dict[str, Any] = {"corpus": corpus.id, "encoder": config.model_dump(), "split": split.model_dump()}
    if (content := named_content(config)) is not None:
        made_of["content"] = content
    folder = f"{storage.root}/encoders/{fingerprint(made_of)}"
    if read_bytes(f"{folder}/{STATE_WORDS}") is None:
        from llmrec.encoding.encoders.static.registry import fit_state  # scikit-learn, only where it is used

        texts = training_texts(corpus, split)
        log.info("encode: fitting %s on %d texts", config.backend, len(texts))
        fit_state(config, texts, folder)
    return config.model_copy(update={"model": folder})


def needs_fit(config: EncoderConfig) -> bool:
    """Whether `config` names an encoder that learns from the corpus, be it how rare words are, and no state of it."""
    if config.backend == "word_vectors" and is_vector_file(config.model):
        return True
    return config.backend in ("tfidf_svd", "word_vectors") and config.model == _MODEL_DEFAULT


def training_texts(corpus: Artifact, split: SplitConfig) -> list[str]:
    """Distinct texts of reviews before T1 and of the items in them: at most _MAX_TEXTS, those of smallest hash."""
    if corpus.dataset("reviews").count_rows() == 0:
        raise ValueError(
            "encoding.encoder.backend: a fitted encoder needs reviews to be fitted on: the corpus has none"
        )
    before = pc.field(C.TIMESTAMP) < review_cutoffs(corpus, split).t1
    items = corpus.dataset("reviews").to_table(columns=[C.ITEM_ID], filter=before).column(C.ITEM_ID).unique()
    texts = _texts(corpus, "review", before), _texts(corpus, "item", pc.field(C.ITEM_ID).isin(items))
    hashed = {text_key("fit", text): text for source in texts for text in source if text}
    return [hashed[key] for key in heapq.nsmallest(_MAX_TEXTS, hashed)]


def _texts(corpus: Artifact, kind: str, keep: Any) -> Iterator[str]:
    table = "reviews" if kind == "review" else "items"
    for batch in corpus.dataset(table).to_batches(filter=keep, batch_size=4096):
        yield from ids_and_texts(kind, batch.to_pylist())[1]
