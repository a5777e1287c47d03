"""Lists whose items are not all alike: which candidates to show once their scores are known.

Both pick greedily, so that a longer list begins with the shorter one. `mmr`: maximal marginal relevance (Carbonell &
Goldstein, SIGIR 1998). `dpp`: the most probable set of a determinantal point process, found greedily (Chen, Zhang &
Zhou, NeurIPS 2018).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats32, Ints

Doubles = npt.NDArray[np.float64]
Method = Literal["mmr", "dpp"]
#: Below it what an item adds to the volume is noise: the kernel's rank is used up.
_LEAST = 1e-10


@dataclass(frozen=True)
class Diversity:
    """`weight`: 0 keeps the order of the scores, 1 looks at what the items are like and at nothing else."""

    method: Method
    weight: float


def diversify(asked: Diversity, scores: Floats32, kernel: Floats32, k: int) -> Ints:
    """Places (k,) among N candidates, the first slot first.

    Args:
        scores: (N,), the highest first; any scale: they are taken in units of their spread.
        kernel: (N, N) cosines of the items, positive semi-definite.
    """
    k = min(k, len(scores))
    if asked.weight == 0 or k == 0:
        return np.arange(k)
    spread = float(np.std(scores, dtype=np.float64)) or 1.0
    relevance = (np.asarray(scores, np.float64) - np.max(scores)) / spread
    pick = mmr if asked.method == "mmr" else dpp
    return pick(relevance, np.asarray(kernel, np.float64), asked.weight, k)


def mmr(relevance: Doubles, kernel: Doubles, weight: float, k: int) -> Ints:
    """Each slot: the most of (1 − weight) · relevance − weight · the cosine with the nearest item above."""
    nearest, left, places = np.zeros(len(relevance)), np.ones(len(relevance), np.bool_), list[int]()
    for slot in range(k):
        gain = (1 - weight) * relevance - weight * nearest
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        places.append(best)
        left[best] = False
        nearest = kernel[best] if slot == 0 else np.maximum(nearest, kernel[best])
    return np.array(places, np.int64)


def dpp(relevance: Doubles, kernel: Doubles, weight: float, k: int) -> Ints:
    """Greedy MAP of the kernel q·cosine·q with q = exp(α · relevance), α = (1 − weight) / (2 · weight).

    So the set's log-probability is (1 − weight) · its relevance + weight · the log of its volume (equation 12). Once
    the volume's rank is used up, the others follow by relevance.
    """
    alpha = (1 - weight) / (2 * weight)
    volume, rows = np.diag(kernel), np.zeros((k, len(relevance)))  # d² of each item, as Cholesky rows leave it
    left, places = np.ones(len(relevance), np.bool_), list[int]()
    for slot in range(k):
        gain = np.log(np.maximum(volume, _LEAST))
        worth = np.where(volume > _LEAST, 2 * alpha * relevance + gain, -np.inf)
        worth = np.where(left, worth, -np.inf)
        if not np.isfinite(worth.max()):
            rest = np.flatnonzero(left)
            places.extend(rest[np.argsort(-relevance[rest], kind="stable")][: k - slot].tolist())
            break
        best = int(np.argmax(worth))
        places.append(best)
        left[best] = False
        rows[slot] = (kernel[best] - rows[:slot, best] @ rows[:slot]) / np.sqrt(volume[best])
        volume = volume - rows[slot] ** 2
    return np.array(places, np.int64)
