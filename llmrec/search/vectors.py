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

    `background` is the median cosine of two items drawn at random. A text whose nearest item is no nearer than that
    says nothing of any of them: letters at random lie farther from every text than two texts from each other.
    """

    unit: Floats32
    background: float

    @classmethod
    def of(cls, vectors: Floats32) -> Self:
        """From vectors (n, dim) of any length."""
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
        return cls(unit, _background(unit))

    def save(self, uri: str) -> None:
        write_array(uri, self.unit)

    @classmethod
    def load(cls, uri: str, background: float) -> Self:
        """What `save` wrote, mapped."""
        return cls(map_array(uri), background)

    def nearness(self, vector: Floats32) -> Floats32:
        """(n,) by how much the cosine with `vector` (dim,) exceeds the background; 0 where it does not."""
        if len(vector) != self.unit.shape[1]:
            raise ValueError(f"vector: found {len(vector)} numbers, expected {self.unit.shape[1]}, as the items' have")
        length = float(np.linalg.norm(vector))
        if length == 0:
            return np.zeros(len(self.unit), np.float32)
        cosines = self.unit @ (vector / length)
        return np.asarray(np.maximum(cosines - self.background, 0), np.float32)


def _background(unit: Floats32) -> float:
    rows = np.flatnonzero(unit.any(axis=1))
    if len(rows) < 2:
        return 0.0
    draw = np.random.default_rng(_SEED)
    first = draw.integers(0, len(rows), _PAIRS)
    second = (first + draw.integers(1, len(rows), _PAIRS)) % len(rows)  # never itself
    return float(np.median((unit[rows[first]] * unit[rows[second]]).sum(axis=1)))
