"""Names of feature columns and of the families that they belong to."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from llmrec.features.arrays import Ints
from llmrec.names import check_patterns
from llmrec.variants import FAMILY_PATTERNS

#: Patterns of variants: they may find nothing, where no text is read.
_VARIANTS = {pattern for both in FAMILY_PATTERNS.values() for patterns in both for pattern in patterns}


@dataclass(frozen=True)
class FeatureColumn:
    """One number of a feature vector."""

    name: str
    family: str


@dataclass(frozen=True)
class FeatureSelection:
    """Columns kept: ascending index arrays into user, item and pair features."""

    user: Ints
    item: Ints
    pair: Ints

    def within(self, other: "FeatureSelection") -> "FeatureSelection":
        """The columns that are in both."""
        return FeatureSelection(*(np.intersect1d(a, b) for a, b in zip(self._sides(), other._sides(), strict=True)))

    def _sides(self) -> tuple[Ints, Ints, Ints]:
        return self.user, self.item, self.pair


def chosen(families: Iterable[str], include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> list[str]:
    """Families that match a pattern of `include` and none of `exclude` (shell patterns: `text*`).

    Raises ValueError for a pattern that matches no family at all.
    """
    names = sorted(set(families))
    check_patterns("feature family", (p for p in (*include, *exclude) if p not in _VARIANTS), names)
    kept = [n for n in names if any(fnmatchcase(n, p) for p in include)]
    return [n for n in kept if not any(fnmatchcase(n, p) for p in exclude)]


def indices(columns: Sequence[FeatureColumn], families: Container[str]) -> Ints:
    """Ascending positions of the columns whose family is in `families`."""
    return np.array([k for k, c in enumerate(columns) if c.family in families], np.int64)
