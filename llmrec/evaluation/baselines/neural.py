"""Small neural baselines on ids, in plain torch: an NCF-style MLP, matrix factorisation with text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec.evaluation.baselines.base import Baseline, Block
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import Ints, Scores
from llmrec.evaluation.data.profiles import Vectors, reduced

_NEGATIVES = 4
_BATCH = 512


class Mlp(nn.Module):
    """He et al., "Neural Collaborative Filtering" (WWW 2017): the MLP of section 3.3 reads the product of 3.2 too."""

    def __init__(self, n_users: int, n_items: int, dim: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.layers = nn.Sequential(
            nn.Linear(3 * dim, dim), nn.ReLU(), nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, 1)
        )
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """(B,) logits."""
        u, i = self.user(user), self.item(item)
        logits: Tensor = self.layers(torch.cat([u, i, u * i], dim=-1)).squeeze(-1)
        return logits


class _TextFactors(nn.Module):
    """Dot product of a user's factors with an item's factors + a linear map of its text (as LightFM: Kula 2015)."""

    text: Tensor

    def __init__(self, n_users: int, n_items: int, dim: int, text: Tensor) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(n_users, dim), nn.Embedding(n_items, dim)
        self.bias = nn.Embedding(n_items, 1)
        self.map = nn.Linear(text.shape[1], dim, bias=False)
        self.register_buffer("text", text)
        for table in (self.user, self.item, self.bias):
            nn.init.normal_(table.weight, std=0.05)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """(B,) logits."""
        factors = self.item(item) + self.map(self.text[item])
        logits: Tensor = (self.user(user) * factors).sum(dim=-1) + self.bias(item).squeeze(-1)
        return logits


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


@dataclass
class Neural(Baseline):
    """What both share: binary cross-entropy against uniformly drawn negatives, Adam, a fixed number of epochs."""

    dim: int = 32
    epochs: int = 20
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 7
    label: ClassVar[str] = ""
    description: ClassVar[str] = ""

    def module(self, fold: Fold) -> nn.Module:
        """The untrained model."""
        raise NotImplementedError

    def fit(self, fold: Fold) -> None:
        user, item = fold.data.user[fold.train], fold.data.item[fold.train]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._model = self.module(fold)
            self._epochs(user, item, fold.data.n_items)
        self._trained = np.bincount(user, minlength=fold.data.n_users) > 0

    def _epochs(self, user: Ints, item: Ints, n_items: int) -> None:
        rng = np.random.default_rng(self.seed)
        optimizer = torch.optim.AdamW(self._model.parameters(), self.learning_rate, weight_decay=self.weight_decay)
        for _ in range(self.epochs):
            drawn = rng.integers(n_items, size=(len(user), _NEGATIVES))
            users = np.repeat(user, 1 + _NEGATIVES)
            items = np.concatenate([item[:, None], drawn], axis=1).ravel()
            label = np.tile(np.eye(1, 1 + _NEGATIVES, dtype=np.float32)[0], len(user))
            epoch(self._model, optimizer, users, items, label, rng)

    @torch.inference_mode()
    def scores(self, block: Block) -> Scores:
        items = torch.arange(block.histories.shape[1])
        out = np.empty(block.histories.shape, np.float32)
        for q, user in enumerate(block.users):
            out[q] = self._model(torch.full_like(items, int(user)), items).numpy()
        return out

    def answers(self, block: Block) -> npt.NDArray[np.bool_]:
        return np.asarray(self._trained[block.users])


@dataclass
class NCF(Neural):
    """An MLP on user and item ids."""

    label: ClassVar[str] = "NCF (MLP on ids)"
    description: ClassVar[str] = "MLP over user and item embeddings; users that training never saw get the fallback"

    def module(self, fold: Fold) -> nn.Module:
        return Mlp(fold.data.n_users, fold.data.n_items, self.dim)


@dataclass
class TextFactorization(Neural):
    """Matrix factorisation with the items' text as side information; `vectors` (n_events, dim)."""

    vectors: Vectors | None = None
    text_dim: int = 32
    label: ClassVar[str] = "MF + text"
    description: ClassVar[str] = "matrix factorisation; item factors are free factors + a map of the reviews"

    def module(self, fold: Fold) -> nn.Module:
        assert self.vectors is not None
        data, train = fold.data, fold.train
        small = reduced(self.vectors, train, self.text_dim, self.seed)
        total = np.zeros((data.n_items, small.shape[1]), np.float32)
        np.add.at(total, data.item[train], small[train])
        norm = np.linalg.norm(total, axis=1, keepdims=True)
        text = torch.from_numpy(total / np.where(norm > 0, norm, 1))
        return _TextFactors(data.n_users, data.n_items, self.dim, text)
