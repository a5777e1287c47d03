"""Token vectors → one vector a text: the poolings that the engine does not do itself. One function each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def max_pool(tokens: Array) -> Array:
    """(t, d) → (d,): the largest value of every dimension."""
    return np.asarray(tokens.max(axis=0), np.float32)


def mean_max_pool(tokens: Array) -> Array:
    """(t, d) → (2d,): mean ‖ max."""
    return np.asarray(np.concatenate([tokens.mean(axis=0), max_pool(tokens)]), np.float32)


def attention_mean_pool(tokens: Array) -> Array:
    """(t, d) → (d,): the mean weighted by how much each token attends to the whole.

    Weights are softmax(h_i · m / √d) with m the plain mean: dot-product attention (arXiv 1706.03762, 3.2.1) with the
    text's mean as its query, so there is nothing to fit.
    """
    scores = tokens @ tokens.mean(axis=0) / np.sqrt(tokens.shape[1])
    weights = np.exp(scores - scores.max())
    return np.asarray(weights @ tokens / weights.sum(), np.float32)


#: Poolings of token vectors; the others (mean, cls, last) are the engine's own.
TOKEN_POOLINGS: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {"max": max_pool, "mean_max": mean_max_pool, "attention_mean": attention_mean_pool}
)
