"""Versions of profiles as of any moment: the last one that was made strictly before it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats32, Ints, find_arrays, write_arrays
from llmrec.features.asof.events import EntityEvents


@dataclass(frozen=True)
class ProfileLog:
    """Versions of users or of items; without any, states are of width 0."""

    versions: EntityEvents | None
    vectors: Floats32  # (V, D) reduced, by number; zero where nothing was found to say

    @classmethod
    def load(cls, uri: str) -> "ProfileLog":
        """What `write_profiles` wrote."""
        found = find_arrays(uri)
        if found is None:
            return cls(None, np.zeros((0, 0), np.float32))
        return cls(EntityEvents.of(found["rows"], found["times"], int(found["n"][0])), found["vectors"])

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])

    def at(self, rows: Ints, times: Ints) -> dict[str, Any]:
        """(Q, D) vectors of the profiles in force and (Q,) ms when they were made; zero, and the query's own time,
        where there is none."""
        if self.versions is None:
            return {"profile": np.zeros((len(rows), 0), np.float32), "profile_since": times}
        held = np.where(rows < len(self.versions.offsets) - 1, rows, 0)  # of who came while serving there is none
        span = self.versions.span(held, times)
        some, vectors = span.count > 0, np.zeros((len(rows), self.dim), np.float32)
        vectors[some] = self.vectors[self.versions.order[span.end[some] - 1]]
        return {"profile": vectors, "profile_since": self.versions.first_and_last(span)[1]}


def write_profiles(uri: str, rows: Ints, times: Ints, vectors: Floats32, n_rows: int) -> None:
    """Write versions (V,) of the profiles of `n_rows` users or items, in any order."""
    order = np.argsort(times, kind="stable")
    write_arrays(uri, {"rows": rows[order], "times": times[order], "vectors": vectors[order], "n": np.array([n_rows])})
