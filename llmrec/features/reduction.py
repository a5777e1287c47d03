"""What brings vectors down to `text_dim` numbers: fitted on training rows, chosen by `features.text_reduction`."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.asof import Floats32
from llmrec.features.autoencoder import Autoencoder
from llmrec.features.projection import Kind, Moments, Projection


class Reduction(Protocol):
    """A dataclass of arrays, which `to_arrays` saves."""

    @property
    def input_dim(self) -> int: ...

    @property
    def dim(self) -> int: ...

    def __call__(self, vectors: npt.NDArray[np.floating], kind: Kind) -> Floats32:
        """(n, input_dim) -> (n, dim); zero rows stay zero. Raises ValueError on another `input_dim`."""
        ...


#: By what they reduce: `text` (reviews and items), `sequence`, and the columns `vector_NAME` of the items.
Reductions = Mapping[str, Reduction]


def fit_reduction(settings: FeaturesConfig, reviews: Floats32, items: Floats32) -> Reduction:
    """From the vectors (n, dim) of training reviews and (m, dim) of items known before the cut-off; zero: absent."""
    if settings.text_reduction == "autoencoder":
        return Autoencoder.fit(reviews, items, settings.text_dim, settings.seed)
    moments = Moments.of(reviews), Moments.of(items)
    if settings.text_reduction == "random":
        return Projection.random(*moments, settings.text_dim, settings.seed)
    return Projection.fit(*moments, settings.text_dim)


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
