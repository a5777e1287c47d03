"""Where in the items' vectors each column of theirs lies."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from llmrec.features.arrays import Floats, Floats32


@dataclass(frozen=True)
class VectorLayout:
    """Which of the M numbers of `vectors` belong to which column: `dims` are the columns' widths, in order."""

    dims: Mapping[str, int]

    def spans(self) -> dict[str, slice]:
        """Column -> its place."""
        ends = np.cumsum([0, *self.dims.values()]).tolist()
        return {name: slice(a, b) for name, a, b in zip(self.dims, ends[:-1], ends[1:], strict=True)}

    def with_presence(self, vectors: Floats32) -> Floats32:
        """(n, M) -> (n, M + columns): 1 behind them where a row has a column's vector."""
        flags = [vectors[:, span].any(axis=1, keepdims=True) for span in self.spans().values()]
        return np.concatenate([vectors, *flags], axis=1).astype(np.float32)

    def means(self, sums: Floats) -> Floats32:
        """(Q, M + columns) sums of such rows -> (Q, M) means of the rows that have the vector, zero without."""
        number = np.repeat(sums[:, sum(self.dims.values()) :], list(self.dims.values()), axis=1)
        return np.asarray(sums[:, : number.shape[1]] / np.maximum(number, 1), np.float32)
