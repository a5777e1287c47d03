"""LinUCB (Li, Chu, Langford & Schapire, WWW 2010, algorithm 1): ridge regression of feedback, and an upper bound of it.

One regression for all items, not one an item: a context says what the second stage's blend reads of this user and this
item, so that what is learned of one item holds for one that joined a minute ago (Chu et al., AISTATS 2011).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
#: Standardised values beyond this count as this.
_MOST = 4.0
RIDGE = 1.0


@dataclass(frozen=True)
class LinearState:
    """A = `RIDGE`·I + Σ x xᵀ over slots shown, (d, d), and b = Σ reward · x, (d,). Not changed after it is made."""

    shown: Doubles
    rewarded: Doubles

    @classmethod
    def nothing_seen(cls, dim: int) -> "LinearState":
        return cls(RIDGE * np.eye(dim), np.zeros(dim))

    def after(self, contexts: Doubles, rewards: Doubles) -> "LinearState":
        """With slots of `contexts` (n, d) and `rewards` (n,) seen."""
        return LinearState(self.shown + contexts.T @ contexts, self.rewarded + rewards @ contexts)

    def paid(self, contexts: Doubles) -> "LinearState":
        """With a reward of 1 for each slot of `contexts` (n, d), seen before."""
        return LinearState(self.shown, self.rewarded + contexts.sum(axis=0))

    @cached_property
    def _inverse(self) -> Doubles:
        return np.asarray(np.linalg.inv(self.shown))

    def expected(self, contexts: Doubles) -> Doubles:
        """(N,) ridge regression's reward."""
        return np.asarray(contexts @ (self._inverse @ self.rewarded))

    def upper(self, contexts: Doubles, alpha: float) -> Doubles:
        """(N,) the reward that may still be hoped for: `alpha` standard errors above the expected one."""
        error = np.sqrt(np.maximum(np.einsum("nd,de,ne->n", contexts, self._inverse, contexts), 0))
        return np.asarray(self.expected(contexts) + alpha * error)


def terms_of(columns: Sequence[str]) -> tuple[str, ...]:
    """What the columns of `standardised` are called."""
    return ("one", "score", *columns)


def standardised(scores: npt.NDArray[np.floating], columns: npt.NDArray[np.floating]) -> Doubles:
    """(N, 2 + m) contexts of a request's candidates: 1, and `scores` (N,) and `columns` (N, m) in units of their
    spread over the candidates, less their mean."""
    values = np.column_stack([np.asarray(scores, np.float64), np.asarray(columns, np.float64)])
    values = np.clip(np.where(np.isfinite(values), values, 0), -1e9, 1e9)
    spread = values.std(axis=0)
    units = (values - values.mean(axis=0)) / np.where(spread > 1e-12, spread, 1)
    return np.column_stack([np.ones(len(values)), np.clip(units, -_MOST, _MOST)])
