"""Items whose texts the frozen encoder takes for nearly the same: negatives that a batch at random does not hold."""

import numpy as np
import torch
from torch import nn

from llmrec.tuning.gradients import Passes, encode
from llmrec.tuning.objectives.base import Learning
from llmrec.tuning.texts import Ints

#: Of so many nearest items one is drawn.
POOL = 20
_BLOCK = 1024


class NearItems:
    """`items` (n,): those that may be drawn, each with a text. Mined once, before any step, on every worker alike."""

    def __init__(self, learning: Learning, items: Ints) -> None:
        data = learning.data
        items = items[data.written(data.texts.n_reviews + items)]
        if len(items) < 2:
            raise ValueError(
                f"tuning.hard_negatives: found {len(items)} items with a text among the pairs, expected at least 2; "
                "set it to 0"
            )
        ids = [data.tokens[data.texts.n_reviews + item] for item in items]
        vectors = encode(learning.network, ids, Passes(learning.group, data.config.micro_batch))
        self._near = np.full((data.texts.n_items, min(POOL, len(items) - 1)), -1)
        self._near[items] = items[nearest(vectors, self._near.shape[1])]

    def draw(self, items: Ints, n: int, rng: np.random.Generator) -> Ints:
        """(len(items) · n,) near items of each, -1 of an item without a text."""
        chosen = rng.integers(0, self._near.shape[1], (len(items), n))
        return np.asarray(np.take_along_axis(self._near[items], chosen, axis=1).ravel(), np.int64)


def nearest(vectors: torch.Tensor, n: int) -> Ints:
    """(m, n) rows of the nearest of the (m, d) vectors by cosine, each row's own left out."""
    unit = nn.functional.normalize(vectors, dim=1)
    found = []
    for start in range(0, len(unit), _BLOCK):
        scores = unit[start : start + _BLOCK] @ unit.T
        scores[torch.arange(len(scores)), torch.arange(start, start + len(scores))] = -torch.inf
        found.append(scores.topk(n, dim=1).indices.cpu().numpy())
    return np.concatenate(found)
