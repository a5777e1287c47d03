"""The items' vectors, as the encoder gave them, and how near is near."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from llmrec.features.arrays import Floats32, map_array, write_array

#: Pairs of items that say what two of them have in common by chance.
_PAIRS, _SEED = 20_000, 0


@dataclass(frozen=True)
class ItemVectors:
    """`unit` (n, dim), one row an item, of length one; zero where there are no words.

    `background` is the median cosine of two items drawn at random: what is no nearer than that to a text is no answer
    to it. `alike` is their 80th percentile: letters at random come nearer to some item than the median, not so near.
    """

    unit: Floats32
    background: float
    alike: float

    @classmethod
    def of(cls, vectors: Floats32) -> Self:
        """From vectors (n, dim) of any length."""
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        return cls(unit, *_cosines_of_pairs(unit))

    def save(self, uri: str) -> None:
        write_array(uri, self.unit)

    @classmethod
    def load(cls, uri: str) -> Self:
        """What `save` wrote, mapped."""
        unit = map_array(uri)
        return cls(unit, *_cosines_of_pairs(unit))

    def nearness(self, vector: Floats32) -> Floats32:
        """(n,) by how much the cosine with `vector` (dim,) exceeds the background; 0 where it does not."""
        if len(vector) != self.unit.shape[1]:
            raise ValueError(f"vector: found {len(vector)} numbers, expected {self.unit.shape[1]}, as the items' have")
        length = float(np.linalg.norm(vector))
        if length == 0:
            return np.zeros(len(self.unit), np.float32)
        cosines = self.unit @ (vector / length)
        return np.asarray(np.maximum(cosines - self.background, 0), np.float32)


def _cosines_of_pairs(unit: Floats32) -> tuple[float, float]:
    """Median and 80th percentile."""
    rows = np.flatnonzero(unit.any(axis=1))
    if len(rows) < 2:
        return 0.0, 0.0
    draw = np.random.default_rng(_SEED)
    first = draw.integers(0, len(rows), _PAIRS)
    second = (first + draw.integers(1, len(rows), _PAIRS)) % len(rows)  # never itself
    median, alike = np.quantile((unit[rows[first]] * unit[rows[second]]).sum(axis=1), (0.5, 0.8)).tolist()
    return median, alike
