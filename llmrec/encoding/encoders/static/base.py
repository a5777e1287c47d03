"""What encoders without a network share: prompts, truncation, counts of words, singular vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.encoder import Encoded, Kind, finish, prompted
from llmrec.encoding.encoders.fingerprint import DEFAULT_DIMENSION, encoder_fingerprint
from llmrec.words import terms, words

MAX_TERMS = 50_000  # of each kind, words and character n-grams
_SEED = 0
State = tuple[dict[str, npt.NDArray[Any]], dict[str, list[str]]]


class StaticEncoder:
    """What the static encoders share: prompts, truncation, counts of words, the last scaling."""

    def __init__(self, config: EncoderConfig, words: Sequence[str] | None) -> None:
        self._config = config
        self._known = None if words is None else frozenset(words)
        self._fingerprint = encoder_fingerprint(config)

    @property
    def dim(self) -> int:
        return dimension(self._config)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Encoded:
        """(n, dim) vectors of `texts`; a token is a word."""
        cut = [_cut(text, self._config.max_tokens) for text in prompted(self._config, texts, kind)]
        spoken = [terms(text) for text in cut]
        vectors = self._vectors(cut, spoken) if cut else np.zeros((0, self.dim), np.float32)
        known = self._known
        unknown = (0 if known is None else sum(word not in known for word in row) for row in spoken)
        counts = np.fromiter(map(len, spoken), np.int32, len(spoken))
        return Encoded(
            finish(vectors, None, self._config.normalize), counts, np.fromiter(unknown, np.int32, len(spoken))
        )

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        raise NotImplementedError


def dimension(config: EncoderConfig) -> int:
    """Length of a static encoder's vector."""
    return config.dimension or DEFAULT_DIMENSION


def svd(matrix: Any, dim: int) -> npt.NDArray[np.float32]:
    """(n, m) sparse → (m, dim) right singular vectors."""
    if min(matrix.shape) <= dim:
        raise ValueError(
            f"encoding.encoder.dimension: found {dim}, expected fewer than the {matrix.shape[0]} rows and "
            f"{matrix.shape[1]} terms that there are to fit on; lower it or bring more text"
        )
    svd = TruncatedSVD(dim, random_state=_SEED).fit(matrix)
    return np.ascontiguousarray(svd.components_.T, np.float32)


def _cut(text: str, max_words: int) -> str:
    """`text` up to the end of its word number `max_words`."""
    found = words(text)
    return text[: found[max_words - 1].end] if len(found) >= max_words else text
