"""What every encoder is, whatever makes its vectors: the one interface of the job's actors and the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from llmrec.config import EncoderConfig

Kind = Literal["document", "query"]


class EncodingError(RuntimeError):
    """An encoding run that cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Encoded:
    """The vectors of n texts and what their tokenizer said of them."""

    vectors: npt.NDArray[np.float32]  # (n, dim)
    n_tokens: npt.NDArray[np.int32]  # (n,) after truncation
    n_unknown: npt.NDArray[np.int32]  # (n,) tokens that the encoder does not know

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among all tokens; 0 where there are none."""
        return float(self.n_unknown.sum() / max(int(self.n_tokens.sum()), 1))

    def usable(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each text's vector is one: its numbers are finite."""
        return np.asarray(np.isfinite(self.vectors).all(axis=1))

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """Those of some texts, in that order."""
        return type(self)(self.vectors[rows], self.n_tokens[rows], self.n_unknown[rows])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Those of all parts, one behind the other; one part at least."""
        vectors = np.concatenate([p.vectors for p in parts])
        n_tokens = np.concatenate([p.n_tokens for p in parts])
        return cls(vectors, n_tokens, np.concatenate([p.n_unknown for p in parts]))


@runtime_checkable
class TextEncoder(Protocol):
    """Texts in, vectors out. Equal fingerprints promise vectors that agree at cosine .9999."""

    @property
    def dim(self) -> int:
        """Length of a vector."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides a vector."""

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Encoded:
        """Vectors of `texts`, (n, dim) float32 in their order; any n ≥ 0. Raises what the engine raises."""


def prompted(config: EncoderConfig, texts: Sequence[str], kind: Kind = "document") -> list[str]:
    """The texts as they are encoded: behind the prompt of their kind."""
    if kind not in ("document", "query"):
        raise ValueError(f"kind {kind!r}: expected 'document' or 'query'")
    prompt = config.query_prompt if kind == "query" else config.document_prompt
    return [prompt + text for text in texts] if prompt else list(texts)


def finish(vectors: npt.NDArray[np.float32], dimension: int | None, normalize: bool) -> npt.NDArray[np.float32]:
    """(n, d) → (n, dimension): cut (Matryoshka, arXiv 2205.13147), then scaled to length one. Zero rows stay zero."""
    if dimension is not None and dimension > vectors.shape[1]:
        raise ValueError(
            f"encoding.encoder.dimension: found {dimension}, expected at most {vectors.shape[1]}, which the model gives"
        )
    cut = np.ascontiguousarray(vectors[:, :dimension], dtype=np.float32)
    if not normalize:
        return cut
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    return np.asarray(np.divide(cut, norms, out=np.zeros_like(cut), where=norms > 0), np.float32)
