"""Encoders without a network: hashed features, TF-IDF + SVD, word vectors. They know any language they are shown.

A fitted one is saved as `state.safetensors` (arrays) and `state.json` (words, settings): no pickle, nothing runs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.encoder import Encoded, Kind, finish, prompted
from llmrec.encoding.encoders.fingerprint import DEFAULT_DIMENSION, STATE_ARRAYS, STATE_WORDS, encoder_fingerprint
from llmrec.files import read_bytes, read_json, write_bytes
from llmrec.storage import canonical_json

_WORD = re.compile(r"\w+")
_PATTERN = r"(?u)\w+"
_MAX_TERMS = 50_000  # of each kind, words and character n-grams
_SEED = 0
Arrays = dict[str, npt.NDArray[Any]]
State = tuple[Arrays, dict[str, list[str]]]


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
        words = [_WORD.findall(text.lower()) for text in cut]
        vectors = self._vectors(cut, words) if cut else np.zeros((0, self.dim), np.float32)
        known = self._known
        unknown = (0 if known is None else sum(word not in known for word in row) for row in words)
        counts = np.fromiter(map(len, words), np.int32, len(words))
        return Encoded(
            finish(vectors, None, self._config.normalize), counts, np.fromiter(unknown, np.int32, len(words))
        )

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        raise NotImplementedError


class HashingEncoder(StaticEncoder):
    """Words and character 3- to 5-grams hashed with signs into `dim` sums (Weinberger et al., ICML 2009). Unfitted."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config, None)
        shared = {"n_features": self.dim, "alternate_sign": True, "dtype": np.float32}
        self._parts = (
            HashingVectorizer(token_pattern=_PATTERN, ngram_range=(1, 2), **shared),
            HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), **shared),
        )

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        return np.asarray(sum(part.transform(texts) for part in self._parts).toarray(), np.float32)


class TfidfSvdEncoder(StaticEncoder):
    """TF-IDF of words and character n-grams, reduced by SVD (latent semantic analysis, Deerwester et al. 1990)."""

    def __init__(self, config: EncoderConfig, state: State) -> None:
        arrays, terms = state
        super().__init__(config, terms["words"])
        self._components = arrays["components"]
        self._words = _vectorizer("word", terms["words"], arrays["word_idf"])
        self._grams = _vectorizer("char_wb", terms["grams"], arrays["gram_idf"])

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        features = sparse.hstack([self._words.transform(texts), self._grams.transform(texts)], format="csr")
        return np.asarray(features @ self._components, np.float32)

    @staticmethod
    def fit(config: EncoderConfig, texts: Sequence[str]) -> State:
        """State fitted on `texts`; raises ValueError where they are too few for the dimension."""
        words, grams = _vectorizer("word"), _vectorizer("char_wb")
        features = sparse.hstack([words.fit_transform(texts), grams.fit_transform(texts)], format="csr")
        arrays = {
            "components": _svd(features, dimension(config)),
            "word_idf": words.idf_.astype(np.float32),
            "gram_idf": grams.idf_.astype(np.float32),
        }
        return arrays, {"words": list(words.get_feature_names_out()), "grams": list(grams.get_feature_names_out())}


class WordVectorsEncoder(StaticEncoder):
    """Mean of word vectors weighted by a / (a + p(word)) (SIF, Arora et al., ICLR 2017), trained on the corpus.

    The vectors are the SVD of the positive pointwise mutual information of words and the words around them (Levy and
    Goldberg, NIPS 2014).
    """

    def __init__(self, config: EncoderConfig, state: State) -> None:
        arrays, terms = state
        super().__init__(config, terms["words"])
        self._row = {word: row for row, word in enumerate(terms["words"])}
        self._table = arrays["vectors"] * arrays["weights"][:, None]

    def _vectors(self, texts: list[str], words: list[list[str]]) -> npt.NDArray[np.float32]:
        rows = [[self._row[word] for word in text if word in self._row] for text in words]
        means = (self._table[row].mean(axis=0) if row else np.zeros(self.dim) for row in rows)
        return np.asarray(np.stack(list(means)), np.float32)

    @staticmethod
    def fit(config: EncoderConfig, texts: Sequence[str]) -> State:
        """State fitted on `texts`; raises ValueError where they are too few for the dimension."""
        counter = CountVectorizer(token_pattern=_PATTERN, min_df=2, max_features=_MAX_TERMS)
        try:
            counts = counter.fit_transform(texts)
        except ValueError as error:
            raise ValueError(f"word_vectors: cannot be fitted on {len(texts)} texts: {error}") from None
        words = list(counter.get_feature_names_out())
        row = {word: at for at, word in enumerate(words)}
        rows = [[row[w] for w in _WORD.findall(text.lower()) if w in row] for text in texts]
        share = np.asarray(counts.sum(axis=0), np.float64).ravel() / counts.sum()
        vectors = _svd(_ppmi(_cooccurrences(rows, len(words))), dimension(config))
        arrays = {"vectors": vectors, "weights": (1e-3 / (1e-3 + share)).astype(np.float32)}
        return arrays, {"words": words}


FITTED: Mapping[str, Any] = MappingProxyType({"tfidf_svd": TfidfSvdEncoder, "word_vectors": WordVectorsEncoder})


def dimension(config: EncoderConfig) -> int:
    """Length of a static encoder's vector."""
    return config.dimension or DEFAULT_DIMENSION


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


def _cut(text: str, max_words: int) -> str:
    """`text` up to the end of its word number `max_words`."""
    for number, match in enumerate(_WORD.finditer(text), start=1):
        if number == max_words:
            return text[: match.end()]
    return text


def _vectorizer(analyzer: str, terms: list[str] | None = None, idf: npt.NDArray[Any] | None = None) -> TfidfVectorizer:
    ranges = {"word": (1, 1), "char_wb": (2, 4)}
    made = TfidfVectorizer(
        analyzer=analyzer, ngram_range=ranges[analyzer], token_pattern=_PATTERN if analyzer == "word" else None,
        sublinear_tf=True, min_df=1, max_features=_MAX_TERMS, dtype=np.float32, vocabulary=terms,
    )  # fmt: skip
    if idf is not None:
        made.idf_ = idf
    return made


def _svd(matrix: Any, dim: int) -> npt.NDArray[np.float32]:
    """(n, m) sparse → (m, dim) right singular vectors."""
    if min(matrix.shape) <= dim:
        raise ValueError(
            f"encoding.encoder.dimension: found {dim}, expected fewer than the {matrix.shape[0]} rows and "
            f"{matrix.shape[1]} terms that there are to fit on; lower it or bring more text"
        )
    svd = TruncatedSVD(dim, random_state=_SEED).fit(matrix)
    return np.ascontiguousarray(svd.components_.T, np.float32)


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
    cells = counts.tocoo()
    pmi = np.log(cells.data * total / (margin[cells.row] * margin[cells.col]))
    kept = pmi > 0
    return sparse.csr_matrix((pmi[kept], (cells.row[kept], cells.col[kept])), shape=counts.shape, dtype=np.float32)
