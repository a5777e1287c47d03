"""Vectors of words, of the corpus's own making or from a file, averaged by how rare each word is there."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.static.base import MAX_TERMS, State, StaticEncoder, dimension, svd
from llmrec.encoding.encoders.static.vector_file import find_vector_file, is_vector_file, read_vectors
from llmrec.words import terms


class WordVectorsEncoder(StaticEncoder):
    """Mean of word vectors weighted by a / (a + p(word)) (SIF, Arora et al., ICLR 2017), p as in the corpus.

    The vectors are those of a file, or the SVD of the positive pointwise mutual information of words and the words
    around them (Levy and Goldberg, NIPS 2014).
    """

    def __init__(self, config: EncoderConfig, state: State) -> None:
        arrays, known = state
        super().__init__(config, known["words"])
        self._row = {word: row for row, word in enumerate(known["words"])}
        self._table = arrays["vectors"] * arrays["weights"][:, None]

    @property
    def dim(self) -> int:
        return int(self._table.shape[1])

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        rows = [[self._row[word] for word in text if word in self._row] for text in words]
        means = (self._table[row].mean(axis=0) if row else np.zeros(self.dim) for row in rows)
        return np.asarray(np.stack(list(means)), np.float32)

    @staticmethod
    def fit(config: EncoderConfig, texts: Sequence[str]) -> State:
        """State fitted on `texts`; raises ValueError for too few of them, or a file that cannot be read."""
        if is_vector_file(config.model):
            words, vectors = _of_file(config)
            seen = Counter(word for text in texts for word in terms(text))
            return _state(words, vectors, np.array([seen[word] for word in words]), seen.total())
        counter = CountVectorizer(analyzer=terms, min_df=2, max_features=MAX_TERMS)
        try:
            counts = counter.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"word_vectors: cannot be fitted on {len(texts)} texts: {error}") from None
        words = list(counter.get_feature_names_out())
        row = {word: at for at, word in enumerate(words)}
        rows = [[row[w] for w in terms(text) if w in row] for text in texts]
        vectors = svd(_ppmi(_cooccurrences(rows, len(words))), dimension(config))
        return _state(words, vectors, np.asarray(counts.sum(axis=0)).ravel(), int(counts.sum()))


def _state(words: list[str], vectors: npt.NDArray[np.float32], seen: npt.NDArray[Any], total: int) -> State:
    """`seen` (n,): how often each word was, of `total` words."""
    share = seen / max(total, 1)
    return {"vectors": vectors, "weights": (1e-3 / (1e-3 + share)).astype(np.float32)}, {"words": words}


def _of_file(config: EncoderConfig) -> tuple[list[str], npt.NDArray[np.float32]]:
    words, vectors = read_vectors(find_vector_file(config.model))
    if config.dimension not in (None, vectors.shape[1]):
        raise ValueError(
            f"encoding.encoder.dimension: found {config.dimension}, but vectors in {config.model} have "
            f"{vectors.shape[1]} numbers; leave it out"
        )
    return words, vectors


def _cooccurrences(rows: list[list[int]], n_words: int, window: int = 5) -> Any:
    """(n_words, n_words) symmetric counts of words at most `window` apart."""
    flat = np.concatenate([np.asarray(row + [-1] * window, np.int64) for row in rows] or [np.zeros(0, np.int64)])
    counts = sparse.csr_matrix((n_words, n_words), dtype=np.float64)
    for distance in range(1, window + 1):
        left, right = flat[:-distance], flat[distance:]
        both = (left >= 0) & (right >= 0)
        ones = np.ones(int(both.sum()))
        counts = counts + sparse.csr_matrix((ones, (left[both], right[both])), shape=counts.shape)
    return counts + counts.T


def _ppmi(counts: Any) -> Any:
    """max(0, log p(a, b) / p(a) p(b)) of a sparse matrix of counts."""
    total = counts.sum()
    margin = np.asarray(counts.sum(axis=0)).ravel()
    pairs = counts.tocoo()
    pmi = np.log(pairs.data * total / (margin[pairs.row] * margin[pairs.col]))
    kept = pmi > 0
    return sparse.csr_matrix((pmi[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape, dtype=np.float32)
