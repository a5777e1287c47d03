"""What brings vectors down to `text_dim` numbers: fitted on training rows, chosen by `features.text_reduction`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints
from llmrec.features.transforms.autoencoder import Autoencoder
from llmrec.features.transforms.projection import KINDS, Kind, Moments, Projection


class Reduction(Protocol):
    """A dataclass of arrays, which `to_arrays` saves."""

    @property
    def input_dim(self) -> int: ...

    @property
    def dim(self) -> int: ...

    def __call__(self, vectors: npt.NDArray[np.floating], kind: Kind) -> Floats32:
        """(n, input_dim) -> (n, dim); zero rows stay zero. Raises ValueError on another `input_dim`."""
        ...


#: Rows that an autoencoder is fitted on at most, reviews and items together.
ROWS = 100_000
#: By what they reduce: `text` (reviews and items), `sequence`, and the columns `vector_NAME` of the items.
Reductions = Mapping[str, Reduction]


@dataclass(frozen=True)
class Sample:
    """Some of the rows that a reduction is fitted on, where sums do not suffice."""

    places: Ints  # (n,) among the rows that are fitted on
    vectors: Floats32  # (n, dim)

    @classmethod
    def of(cls, vectors: Floats32, places: Ints, total: int) -> "Sample":
        """Those of the rows whose place is among ROWS places spread evenly over `total`."""
        spaced = np.unique(np.linspace(0, total - 1, min(ROWS, total)).astype(np.int64))
        picked = np.isin(places, spaced)
        return cls(places[picked], vectors[picked])

    def __add__(self, other: "Sample") -> "Sample":
        both = (self, other)
        return Sample(np.concatenate([s.places for s in both]), np.concatenate([s.vectors for s in both]))

    def nothing(self) -> "Sample":
        """No rows of that width."""
        return Sample(self.places[:0], self.vectors[:0])

    def in_order(self) -> Floats32:
        """(n, dim) vectors by place, however they were put together."""
        return self.vectors[np.argsort(self.places, kind="stable")]


#: What a reduction is fitted on. Parts add up; PCA and random axes take sums, an autoencoder takes a sample.
Summary = Moments | Sample


def summarise(settings: FeaturesConfig, vectors: Floats32, places: Ints, total: int) -> Summary:
    """What there is to fit on in the vectors (n, dim).

    Args:
        places: (n,) among the `total` rows of training that the reduction is fitted on; −1: not among them.
    """
    if settings.text_reduction == "autoencoder":
        return Sample.of(vectors, places, total)
    return Moments.of(vectors[places >= 0])


def fit_reduction(settings: FeaturesConfig, summaries: Mapping[Kind, Any]) -> Reduction:
    """From what `summarise` made of training reviews, and of items known before the cut-off, one at least of both."""
    some = next(iter(summaries.values()))
    reviews, items = (summaries.get(kind, some.nothing()) for kind in KINDS)
    if settings.text_reduction == "autoencoder":
        return Autoencoder.fit(reviews.in_order(), items.in_order(), settings.text_dim, settings.seed)
    if settings.text_reduction == "random":
        return Projection.random(reviews, items, settings.text_dim, settings.seed)
    return Projection.fit(reviews, items, settings.text_dim)


def reduce_vectors(vectors: Floats32, reduction: Reduction | None, kind: Kind = "review") -> Floats32:
    """(n, dim) by the reduction, or as they are where there is none."""
    return vectors if reduction is None else reduction(vectors, kind)


def with_presence(vectors: Floats32, reduction: Reduction | None) -> Floats32:
    """(n, dim + 1): `reduce_vectors` reviews, then 1 where there was a vector."""
    present = vectors.any(axis=1, keepdims=True).astype(np.float32)
    return np.concatenate([reduce_vectors(vectors, reduction), present], axis=1).astype(np.float32)


def to_arrays(reductions: Reductions) -> dict[str, npt.NDArray[Any]]:
    """`NAME.FIELD` -> array, to be saved."""
    return {f"{name}.{field}": values for name, made in reductions.items() for field, values in vars(made).items()}


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Reduction]:
    """What `to_arrays` gave."""
    parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for key, values in arrays.items():
        name, _, field = key.partition(".")
        parts.setdefault(name, {})[field] = values
    return {name: (Autoencoder if "code" in fields else Projection)(**fields) for name, fields in parts.items()}
