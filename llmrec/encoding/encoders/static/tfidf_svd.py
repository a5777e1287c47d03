"""Latent semantic analysis: TF-IDF and singular vectors of a corpus's own words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.static.base import MAX_TERMS, State, StaticEncoder, dimension, svd
from llmrec.words import terms


class TfidfSvdEncoder(StaticEncoder):
    """TF-IDF of words and character n-grams, reduced by SVD (latent semantic analysis, Deerwester et al. 1990)."""

    def __init__(self, config: EncoderConfig, state: State) -> None:
        arrays, known = state
        super().__init__(config, known["words"])
        self._components = arrays["components"]
        self._words = _vectorizer("word", known["words"], arrays["word_idf"])
        self._grams = _vectorizer("char_wb", known["grams"], arrays["gram_idf"])

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        features = sparse.hstack([self._words.transform(texts), self._grams.transform(texts)], format="csr")
        return np.asarray(features @ self._components, np.float32)

    @staticmethod
    def fit(config: EncoderConfig, texts: Sequence[str]) -> State:
        """State fitted on `texts`; raises ValueError where they are too few for the dimension."""
        words, grams = _vectorizer("word"), _vectorizer("char_wb")
        try:
            features = sparse.hstack([words.fit_transform(texts), grams.fit_transform(texts)], format="csr")
        except ValueError as error:
            raise ValueError(
                f"encoding.encoder.backend tfidf_svd: cannot be fitted on {len(texts)} texts: {error}; expected words "
                "in reviews before T1 or in items; name an encoder that learns nothing (hashing), or bring texts"
            ) from None
        arrays = {
            "components": svd(features, dimension(config)),
            "word_idf": words.idf_.astype(np.float32),
            "gram_idf": grams.idf_.astype(np.float32),
        }
        return arrays, {"words": list(words.get_feature_names_out()), "grams": list(grams.get_feature_names_out())}


def _vectorizer(kind: str, vocabulary: list[str] | None = None, idf: npt.NDArray[Any] | None = None) -> TfidfVectorizer:
    cut: dict[str, Any] = {"analyzer": terms} if kind == "word" else {"analyzer": kind, "ngram_range": (2, 4)}
    made = TfidfVectorizer(
        **cut, sublinear_tf=True, min_df=1, max_features=MAX_TERMS, dtype=np.float32, vocabulary=vocabulary,
    )  # fmt: skip
    if idf is not None:
        made.idf_ = idf
    return made
