"""Linear reduction of vectors to `text_dim` numbers, fitted on training rows only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Floats32

Kind = Literal["review", "item"]
KINDS: tuple[Kind, ...] = ("review", "item")
#: Vectors that are widened, centred or multiplied at a time.
CHUNK = 1 << 14


@dataclass
class Moments:
    """Running count, sum and second moment of vectors: adding batches in any split gives the same up to rounding."""

    count: int
    total: Floats  # (dim,)
    second: Floats  # (dim, dim)

    @classmethod
    def zero(cls, dim: int) -> "Moments":
        """Of no vectors."""
        return cls(0, np.zeros(dim), np.zeros((dim, dim)))

    @classmethod
    def of(cls, vectors: npt.NDArray[np.floating]) -> "Moments":
        """Moments of the rows of (n, dim) that are not all zero (a zero row says that there was no text)."""
        moments = cls.zero(vectors.shape[1])
        present = np.flatnonzero(vectors.any(axis=1))
        for start in range(0, len(present), CHUNK):
            part = vectors[present[start : start + CHUNK]].astype(np.float64)
            moments.count += len(part)
            moments.total += part.sum(axis=0)
            moments.second += part.T @ part
        return moments

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.count + other.count, self.total + other.total, self.second + other.second)

    def nothing(self) -> "Moments":
        """Of no vectors of that width."""
        return Moments.zero(len(self.total))

    @property
    def mean(self) -> Floats:
        return self.total / max(self.count, 1)

    @property
    def scatter(self) -> Floats:
        """(dim, dim) sum of squares around the mean."""
        return self.second - self.count * np.outer(self.mean, self.mean)


@dataclass(frozen=True)
class Projection:
    """Centre (reviews and items apart, since they are written differently), then project onto shared axes.

    Linear, so the projection of a mean is the mean of the projections. Scaled to a mean squared length of one.
    """

    review_mean: Floats32  # (dim,)
    item_mean: Floats32  # (dim,)
    components: Floats32  # (dim, text_dim)
    explained: Floats32  # (text_dim,) share of the variance

    @classmethod
    def fit(cls, reviews: Moments, items: Moments, text_dim: int) -> "Projection":
        """Principal axes of the centred reviews and items together (Pearson 1901), by eigenvalue, signs fixed."""
        scatter = reviews.scatter + items.scatter
        values, vectors = np.linalg.eigh(scatter)
        values, vectors = values[::-1].clip(0), vectors[:, ::-1]
        kept = min(text_dim, len(values))
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
        length = np.sqrt(values[:kept].sum() / max(reviews.count + items.count, 1)) or 1.0
        share = values[:kept] / (values.sum() or 1.0)
        components = (vectors * signs)[:, :kept] / length
        arrays = (reviews.mean, items.mean, components, share)
        return cls(*(a.astype(np.float32) for a in arrays))

    @classmethod
    def random(cls, reviews: Moments, items: Moments, text_dim: int, seed: int) -> "Projection":
        """Random orthogonal axes (Johnson & Lindenstrauss 1984): keeps distances about, learns the centres alone."""
        dim = len(reviews.mean)
        axes, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, min(text_dim, dim))))
        kept = np.einsum("dk,de,ek->k", axes, reviews.scatter + items.scatter, axes)
        length = np.sqrt(kept.sum() / max(reviews.count + items.count, 1)) or 1.0
        share = kept / (np.trace(reviews.scatter + items.scatter) or 1.0)
        return cls(*(a.astype(np.float32) for a in (reviews.mean, items.mean, axes / length, share)))

    @classmethod
    def identity(cls, dim: int) -> "Projection":
        """What leaves vectors as they are."""
        nothing, all_of_it = np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32)
        return cls(nothing, nothing, all_of_it, np.full(dim, 1 / dim, np.float32))

    @property
    def input_dim(self) -> int:
        return len(self.components)

    @property
    def dim(self) -> int:
        return int(self.components.shape[1])

    def __call__(self, vectors: npt.NDArray[np.floating], kind: Kind) -> Floats32:
        """(n, input_dim) -> (n, dim); zero rows stay zero. Raises ValueError on another `input_dim`."""
        check_dim(vectors, self.input_dim)
        mean = self.review_mean if kind == "review" else self.item_mean
        # einsum instead of BLAS: a row's result must not depend on how many rows are projected with it
        return reduced(vectors, mean, self.dim, lambda centred: np.einsum("nd,dk->nk", centred, self.components))


def reduced(
    vectors: npt.NDArray[np.floating], mean: Floats32, dim: int, reduce: Callable[[Floats32], Floats32]
) -> Floats32:
    """(n, dim) of `reduce` on the vectors less their mean, a part at a time; zero rows stay zero."""
    made = np.empty((len(vectors), dim), np.float32)
    for start in range(0, len(vectors), CHUNK):
        part = np.asarray(vectors[start : start + CHUNK], np.float32)
        made[start : start + CHUNK] = reduce(part - mean) * part.any(axis=1, keepdims=True)
    return made


def check_dim(vectors: npt.NDArray[np.floating], expected: int) -> None:
    """Raises ValueError for vectors (n, dim) of another `dim`."""
    if vectors.shape[1] != expected:
        raise ValueError(
            f"text vectors: found {vectors.shape[1]} dimensions, expected {expected} as at fitting; "
            "was another encoder used? Encode and featurize again with one encoder"
        )
