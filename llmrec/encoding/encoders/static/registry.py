"""Encoders without a network: hashed features, TF-IDF + SVD, word vectors. They know any language they are shown.

A fitted one is saved as `state.safetensors` (arrays) and `state.json` (words, settings): no pickle, nothing runs.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from sklearn.feature_extraction.text import HashingVectorizer

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.fingerprint import STATE_ARRAYS, STATE_WORDS
from llmrec.encoding.encoders.static.base import StaticEncoder
from llmrec.encoding.encoders.static.tfidf_svd import TfidfSvdEncoder
from llmrec.encoding.encoders.static.word_vectors import WordVectorsEncoder
from llmrec.files import read_bytes, read_json, write_bytes
from llmrec.storage import canonical_json
from llmrec.words import terms


class HashingEncoder(StaticEncoder):
    """Words and character 3- to 5-grams hashed with signs into `dim` sums (Weinberger et al., ICML 2009). Unfitted."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, None)
        shared = {"n_features": self.dim, "alternate_sign": True, "dtype": np.float32}
        self._parts = (
            HashingVectorizer(tokenizer=terms, token_pattern=None, lowercase=False, ngram_range=(1, 2), **shared),
            HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared),
        )

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        return np.asarray(sum(part.transform(texts) for part in self._parts).toarray(), np.float32)


FITTED: Mapping[str, Any] = MappingProxyType({"tfidf_svd": TfidfSvdEncoder, "word_vectors": WordVectorsEncoder})


def static_encoder(config: EncoderConfig) -> StaticEncoder:
    """The static encoder that `config` names; a fitted one is read from the folder `config.model`."""
    if config.backend == "hashing":
        return HashingEncoder(config)
    words, data = read_json(f"{config.model}/{STATE_WORDS}"), read_bytes(f"{config.model}/{STATE_ARRAYS}")
    if words is None or data is None:
        raise ValueError(
            f"encoding.encoder.model: {config.model!r} holds no fitted {config.backend}; expected {STATE_WORDS} and "
            f"{STATE_ARRAYS}. The encode stage fits one where `model` is left out, and names it in its manifest"
        )
    build: Callable[..., StaticEncoder] = FITTED[config.backend]
    return build(config, (safetensors.numpy.load(data), words))


def fit_state(config: EncoderConfig, texts: Sequence[str], folder: str) -> None:
    """Fit `config.backend` on `texts` and save it under the URI `folder`, `state.json` last."""
    arrays, words = FITTED[config.backend].fit(config, texts)
    write_bytes(f"{folder}/{STATE_ARRAYS}", safetensors.numpy.save(arrays))
    write_bytes(f"{folder}/{STATE_WORDS}", canonical_json(words).encode())
