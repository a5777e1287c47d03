"""A review's stars, guessed from its vector: it can only help reviews that lie in somebody's past."""

import numpy as np
import torch
from torch import Tensor, nn

from llmrec.tuning.gradients import Passes, backward
from llmrec.tuning.objectives.base import Learning, enough


class Stars:
    """Squared error of a linear guess of the stars, in units of their variance."""

    def __init__(self, learning: Learning) -> None:
        data = learning.data
        stars = data.texts.stars[: data.n_train]
        rows = np.flatnonzero(np.isfinite(stars))
        self._learning, self._rows = learning, rows[data.written(rows)]
        enough(len(self._rows), data.config.batch_size, "reviews with stars before T1", "leave out the objective stars")
        known = stars[self._rows]
        self._stars = (data.texts.stars - known.mean()) / max(float(known.std()), 1e-6)
        self.head = nn.Linear(learning.network.dim, 1)

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """A batch of `tuning.batch_size` reviews."""
        rows = self._rows[rng.integers(0, len(self._rows), self._learning.data.config.batch_size)]
        stars = torch.tensor(self._stars[rows], dtype=torch.float32, device=passes.group.device)

        def loss_of(vectors: Tensor) -> Tensor:
            return weight * nn.functional.mse_loss(self.head(vectors)[:, 0], stars)

        ids = [self._learning.data.tokens[row] for row in rows]
        return backward(self._learning.network, ids, loss_of, passes) / weight, len(ids)
