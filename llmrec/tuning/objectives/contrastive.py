"""Texts that belong together are near, the batch's others far: InfoNCE (van den Oord et al. 2018), corrected.

A popular item is a negative more often than a rare one: the logarithm of how often it is drawn is taken off its score
(logQ, Yi et al., RecSys 2019). An item that the anchor's user has had, or that is the pair's own, is no negative.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from llmrec.tuning.gradients import Passes, backward
from llmrec.tuning.objectives.base import Learning, enough
from llmrec.tuning.pairs import Pairs, make_pairs


class Contrastive:
    """Pairs of the kinds in `tuning.pairs`, each kind with its share of every batch."""

    def __init__(self, learning: Learning) -> None:
        data, config = learning.data, learning.data.config
        self._learning, self._size = learning, config.batch_size
        kinds = [make_pairs(kind, data) for kind in config.pairs]
        self.counts = dict(zip(config.pairs, map(len, kinds), strict=True))
        found = ", ".join(f"{kind} {n}" for kind, n in self.counts.items())
        enough(
            sum(self.counts.values()), self._size, f"pairs before T1 ({found})",
            "name more kinds in tuning.pairs, lower tuning.batch_size, or bring reviews of users with several likes",
        )  # fmt: skip
        self._pairs = Pairs.joined(kinds)
        shares = np.concatenate([
            np.full(len(pairs), share / max(len(pairs), 1))
            for pairs, share in zip(kinds, config.pairs.values(), strict=True)
        ])  # fmt: skip
        self._cumulated = np.cumsum(shares / shares.sum())
        if config.shuffled_pairs:
            self._pairs = self._pairs.shuffled(data.seed)
        drawn = np.bincount(self._pairs.item, weights=shares / shares.sum(), minlength=data.texts.n_items)
        self._log_q = torch.tensor(np.log(np.maximum(drawn, 1e-12)), dtype=torch.float32)
        self._had = np.unique(data.texts.user[: data.n_train] * data.texts.n_items + data.texts.item[: data.n_train])
        self.head = nn.Module()
        self.head.scale = nn.Parameter(
            torch.tensor(-np.log(config.temperature), dtype=torch.float32), requires_grad=config.learn_temperature
        )

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """A batch of `tuning.batch_size` pairs."""
        drawn = np.searchsorted(self._cumulated, rng.random(self._size) * self._cumulated[-1], side="right")
        pairs = self._pairs.take(np.minimum(drawn, len(self._pairs) - 1))
        tokens = self._learning.data.tokens
        ids = [tokens[row] for row in (*pairs.anchor, *pairs.target)]
        excluded = torch.tensor(self.excluded(pairs))
        log_q = self._log_q[pairs.item]

        def loss_of(vectors: Tensor) -> Tensor:
            scale = self.head.scale.clamp(max=np.log(100.0)).exp()  # type: ignore[operator]
            anchors, targets = vectors.chunk(2)
            return weight * info_nce(anchors, targets, scale, log_q.to(scale.device), excluded.to(scale.device))

        return backward(self._learning.network, ids, loss_of, passes) / weight, len(ids)

    def excluded(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        """(n, n) whether target j is no negative of anchor i: its own item, or one that its user has had."""
        n_items = self._learning.data.texts.n_items
        asked = pairs.user[:, None] * n_items + pairs.item[None, :]
        at = np.minimum(np.searchsorted(self._had, asked), len(self._had) - 1)
        had = (self._had[at] == asked) & (pairs.user >= 0)[:, None]
        mine = had | (pairs.item[:, None] == pairs.item[None, :])
        np.fill_diagonal(mine, False)
        return np.asarray(mine)


def info_nce(anchors: Tensor, targets: Tensor, scale: Tensor, log_q: Tensor, excluded: Tensor) -> Tensor:
    """Mean over pairs of -log softmax of (scale · anchor · target - log q) at the anchor's own target.

    `anchors`, `targets` (n, d) of length one; `log_q` (n,) of the targets; `excluded` (n, n) bool.
    """
    anchors, targets = (nn.functional.normalize(v, dim=1) for v in (anchors, targets))
    logits = scale * anchors @ targets.T - log_q
    logits = logits.masked_fill(excluded, -torch.inf)
    return nn.functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
