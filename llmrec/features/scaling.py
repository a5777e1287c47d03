"""Scaling fitted on training rows: scalars to mean 0 and deviation 1, vectors as one block."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.asof import Bools, Floats32

#: Scaled values beyond this many deviations are cut: a training row is seldom there, a served row may be anywhere.
CLIP = 8.0


@dataclass(frozen=True)
class Scaler:
    """(x - centre) / scale for k columns. `block` numbers columns of one vector alike; scalars have -1."""

    centre: Floats32  # (k,)
    scale: Floats32  # (k,)
    block: npt.NDArray[np.int64]  # (k,)

    @classmethod
    def fit(cls, values: npt.NDArray[np.floating], block: npt.NDArray[np.int64]) -> "Scaler":
        """From (n, k) training rows. A vector's dimensions share one scale, which keeps their relative spread."""
        values = values.astype(np.float64)
        centre, scale = np.zeros(len(block)), np.ones(len(block))
        for columns in _groups(block):
            part = values[:, columns]
            rows = part[part.any(axis=1)] if block[columns[0]] >= 0 else part
            if len(rows):
                centre[columns] = rows.mean(axis=0)
                scale[columns] = np.sqrt(rows.var(axis=0).mean())
        flat = scale < 1e-9  # a constant column says nothing: it becomes zero
        return cls(centre.astype(np.float32), np.where(flat, np.inf, scale).astype(np.float32), block)

    def __call__(self, values: npt.NDArray[np.floating]) -> Floats32:
        """(n, k) -> (n, k) float32; an absent (all-zero) vector stays zero, which is where the mean lies."""
        scaled = (values - self.centre) / self.scale
        np.clip(scaled, -CLIP, CLIP, out=scaled)
        for columns in _groups(self.block):
            if self.block[columns[0]] >= 0:
                span = slice(int(columns[0]), int(columns[-1]) + 1)
                absent: Bools = ~np.any(values[:, span], axis=1)
                scaled[absent, span] = 0
        return scaled.astype(np.float32)


def _groups(block: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Scalars in one group each, the columns of a vector together."""
    scalars = [np.array([k]) for k in np.flatnonzero(block < 0)]
    return [*scalars, *(np.flatnonzero(block == b) for b in np.unique(block[block >= 0]))]
