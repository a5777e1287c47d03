"""Few labels: a logistic head on the encoder's vectors, its labels the stars of reviews from before T1."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding import EmbeddingStore, encoder_config, load_vectors, open_store
from llmrec.encoding.store.keys import text_keys
from llmrec.encoding.texts.corpus_texts import prompted_texts
from llmrec.reading.readers.base import ReaderSpec, ReadInputs
from llmrec.reading.reading import Reading, Readings
from llmrec.reading.text.language import language_of
from llmrec.schema import Column as C
from llmrec.storage import Artifact

#: Reviews that the head is fitted on at most, spread evenly over time.
FIT_ROWS = 20_000
_CLASSES = ("negative", "neutral", "positive")


class HeadReader:
    """Sentiment alone. Reads the vectors that the encode stage paid for, and nothing of the text itself."""

    def __init__(self, spec: ReaderSpec, threads: int | None = None) -> None:
        self.fingerprint = spec.fingerprint
        self._encoder, self._store = spec.state["encoder"], spec.state["store"]
        self._weights, self._bias = spec.state["weights"], spec.state["bias"]

    @classmethod
    def prepare(cls, inputs: ReadInputs) -> tuple[dict[str, Any], dict[str, Any]]:
        if inputs.embeddings is None:
            raise ValueError("reading.reader: head needs the encoder's vectors; run encode")
        vectors, stars = _training_rows(inputs)
        scale = inputs.corpus.manifest.info.get("scale", {})
        labels = np.where(stars >= scale.get("liked_from", 4), 2, np.where(stars <= scale.get("disliked_to", 2), 0, 1))
        weights, bias = fit_head(vectors, labels)
        store: EmbeddingStore = open_store(inputs.storage, inputs.embeddings)
        state = {"encoder": encoder_config(inputs.embeddings), "store": store, "weights": weights, "bias": bias}
        digest = hashlib.sha256(weights.tobytes() + bias.tobytes()).hexdigest()
        return state, {"encoder": store.fingerprint, "head": digest, "rows": len(labels)}

    def encode(self, texts: Sequence[str]) -> Readings[Reading]:
        keys = text_keys(self._store.fingerprint, prompted_texts(self._encoder, list(texts)))
        known = [row for row, key in enumerate(keys) if key is not None]
        found = self._store.find([str(keys[row]) for row in known])
        values = [Reading(error="no vector of this text: run encode")] * len(texts)
        if found.present.any():
            shares = class_shares(found.vectors, self._weights, self._bias)
            for at in np.flatnonzero(found.present):
                values[known[at]] = reading_of(shares[at], texts[known[at]])
        return Readings(tuple(values), np.zeros(len(texts), np.int32))


def class_shares(
    vectors: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """(n, 3) probabilities of negative, neutral and positive from (n, dim) vectors and a head's `fit_head`."""
    odds = vectors @ weights.T + bias
    shares = np.exp(odds - odds.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def reading_of(shares: npt.NDArray[np.floating], text: str) -> Reading:
    """The reading that three probabilities are."""
    given = {name: float(min(max(share, 0.0), 1.0)) for name, share in zip(_CLASSES, shares, strict=True)}
    return Reading(sentiment=given["positive"] - given["negative"], **given, language=language_of(text))


def labelled_reviews(corpus: Artifact, before: float, columns: Sequence[str]) -> pa.Table:
    """Reviews with stars from before a moment, at most FIT_ROWS of them, spread evenly over time."""
    wanted = (pc.field(C.TIMESTAMP) < before) & pc.field(C.STARS).is_valid()
    table = corpus.dataset("reviews").to_table(columns=[C.TIMESTAMP, C.REVIEW_ID, *columns], filter=wanted)
    table = table.sort_by([(C.TIMESTAMP, "ascending"), (C.REVIEW_ID, "ascending")])
    places = np.linspace(0, table.num_rows - 1, min(FIT_ROWS, table.num_rows)).astype(np.int64)
    return table.take(pa.array(np.unique(places)))


def first_cutoff(inputs: ReadInputs) -> float:
    """T1 in ms. Raises ValueError where there is no review."""
    if not inputs.corpus.dataset("reviews").count_rows():
        raise ValueError(f"reading.reader: {inputs.config.reading.reader} needs labelled reviews: the corpus has none")
    return review_cutoffs(inputs.corpus, inputs.config.split).t1


def _training_rows(inputs: ReadInputs) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    rows = labelled_reviews(inputs.corpus, first_cutoff(inputs), [C.STARS])
    assert inputs.embeddings is not None
    vectors, present = load_vectors(inputs.storage, inputs.embeddings, "review", rows[C.REVIEW_ID].to_pylist())
    return vectors[present], rows[C.STARS].to_numpy()[present]


def fit_head(vectors: npt.NDArray[np.float32], labels: npt.NDArray[np.integer]) -> tuple[Any, Any]:
    """(3, dim) weights and (3,) biases; a class that has no label gets no probability."""
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"reading.reader: head found {len(labels)} reviews with stars and text before T1, all of one kind; "
            "expected likes and others. Choose lexicon, which needs no labels"
        )
    model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1_000).fit(vectors, labels)
    weights, bias = np.zeros((3, vectors.shape[1]), np.float32), np.full(3, -30.0, np.float32)
    if len(model.classes_) == 2:  # one row of the log odds of the second class
        weights[model.classes_[1]], bias[list(model.classes_)] = model.coef_[0], (0.0, model.intercept_[0])
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return weights, bias
