"""What small networks on ids share: binary cross-entropy against uniformly drawn negatives, in plain torch.

Users and items are counted from 0 here, without the unknown ones.
"""

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from llmrec.config.models import ModelConfig
from llmrec.features.asof.interactions import Ints, Scores
from llmrec.models.base import Arrays, Bools, FitData, Floats, Requests, Retriever
from llmrec.models.networks.weights import from_arrays, to_arrays

_NEGATIVES = 4
_BATCH = 512


class IdNetworkConfig(ModelConfig):
    dim: int = Field(32, ge=2)
    epochs: int = Field(20, ge=1)
    learning_rate: float = Field(3e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)


def epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, users: Ints, items: Ints, label: Scores,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """One pass over (n,) pairs in random order: binary cross-entropy on their labels."""
    for rows in np.array_split(rng.permutation(len(users)), max(1, len(users) // _BATCH)):
        logits = model(torch.from_numpy(users[rows]), torch.from_numpy(items[rows]))
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(label[rows]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


class IdNetwork(Retriever):
    """Adam, a fixed number of epochs."""

    def module(self, data: FitData, side: Arrays) -> nn.Module:
        """The untrained model; `side` holds what else it reads."""
        raise NotImplementedError

    def side(self, data: FitData) -> Arrays:
        """What the module reads beside ids, from training rows."""
        return {}

    def fit(self, data: FitData) -> None:
        user, item = data.data.user[data.train] - 1, data.data.item[data.train] - 1
        side = self.side(data)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            self._model = self.module(data, side)
            self._epochs(user, item, data.data.n_items - 1, data.seed)
        self._trained = np.bincount(user, minlength=data.data.n_users - 1) > 0
        self._side = side

    def _epochs(self, user: Ints, item: Ints, n_items: int, seed: int) -> None:
        rng, c = np.random.default_rng(seed), self.config
        optimizer = torch.optim.AdamW(self._model.parameters(), c.learning_rate, weight_decay=c.weight_decay)
        for _ in range(c.epochs):
            drawn = rng.integers(n_items, size=(len(user), _NEGATIVES))
            users = np.repeat(user, 1 + _NEGATIVES)
            items = np.concatenate([item[:, None], drawn], axis=1).ravel()
            label = np.tile(np.eye(1, 1 + _NEGATIVES, dtype=np.float32)[0], len(user))
            epoch(self._model, optimizer, users, items, label, rng)

    @torch.inference_mode()
    def scores(self, requests: Requests) -> Floats:
        items = torch.arange(requests.as_of.data.n_items - 1)
        out = np.zeros((len(requests), len(items) + 1), np.float32)
        for q, user in enumerate(np.maximum(requests.users - 1, 0)):
            out[q, 1:] = self._model(torch.full_like(items, int(user)), items).numpy()
        return out

    def answers(self, requests: Requests) -> Bools:
        return np.asarray((requests.users > 0) & self._trained[np.maximum(requests.users - 1, 0)])

    def state(self) -> Arrays:
        side: dict[str, npt.NDArray[np.generic]] = {f"side.{name}": values for name, values in self._side.items()}
        return to_arrays(self._model, "net.") | side | {"trained": self._trained}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._side = {name.removeprefix("side."): v for name, v in arrays.items() if name.startswith("side.")}
        self._model = self.module(data, self._side)
        from_arrays(self._model, arrays, "net.")
        self._trained = arrays["trained"]
