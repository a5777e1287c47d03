"""Texts that belong together are near, the batch's others far: InfoNCE (van den Oord et al. 2018), corrected.

A popular item is a negative more often than a rare one: the logarithm of how often it is drawn is taken off its score
(logQ, Yi et al., RecSys 2019). An item that the anchor's user has had, or that is the pair's own, is no negative. Mined
negatives stand beside the batch's targets, with the logQ that their items have there.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from llmrec.config import TuningConfig
from llmrec.tuning.augment import Augmentation
from llmrec.tuning.gradients import Passes, backward
from llmrec.tuning.objectives.base import Learning, enough, over_prefixes
from llmrec.tuning.objectives.hard_negatives import NearItems
from llmrec.tuning.pairs import Pairs, make_pairs
from llmrec.tuning.texts import Ints


class Contrastive:
    """Pairs of the kinds in `tuning.pairs`, each kind with its share of every batch."""

    def __init__(self, learning: Learning) -> None:
        data, config = learning.data, learning.data.config
        self._learning, self._size = learning, config.batch_size
        kinds = _at_most(config.max_pairs, [make_pairs(kind, data) for kind in config.pairs], config, data.seed)
        self.counts = dict(zip(config.pairs, map(len, kinds), strict=True))
        found = ", ".join(f"{kind} {n}" for kind, n in self.counts.items())
        enough(
            sum(self.counts.values()), self._size, f"pairs before T1 ({found})",
            "raise tuning.max_pairs where it is set, name more kinds in tuning.pairs, lower tuning.batch_size, or "
            "bring reviews of users with several likes",
        )  # fmt: skip
        self._pairs = Pairs.joined(kinds)
        shares = _shares(kinds, config)
        self._cumulated = np.cumsum(shares / shares.sum())
        if config.shuffled_pairs:
            self._pairs = self._pairs.shuffled(data.seed)
        drawn = np.bincount(self._pairs.item, weights=shares / shares.sum(), minlength=data.texts.n_items)
        self._log_q = torch.tensor(np.log(np.maximum(drawn, 1e-12)), dtype=torch.float32)
        self._augment = Augmentation(config.augment, learning.folder)
        self._near = NearItems(learning, np.flatnonzero(drawn)) if config.hard_negatives else None
        self._had = np.unique(data.texts.user[: data.n_train] * data.texts.n_items + data.texts.item[: data.n_train])
        self.head = nn.Module()
        self.head.scale = nn.Parameter(
            torch.tensor(-np.log(config.temperature), dtype=torch.float32), requires_grad=config.learn_temperature
        )

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """A batch of `tuning.batch_size` pairs."""
        drawn = np.searchsorted(self._cumulated, rng.random(self._size) * self._cumulated[-1], side="right")
        pairs = self._pairs.take(np.minimum(drawn, len(self._pairs) - 1))
        near, data = self._mined(pairs, rng), self._learning.data
        rows = (*pairs.anchor, *pairs.target, *(data.texts.n_reviews + near))
        ids = [self._augment(data.tokens[row], rng) for row in rows]
        items = np.concatenate([pairs.item, near])
        excluded, log_q = torch.tensor(self.excluded(pairs, items)), self._log_q[items]

        def loss_of(vectors: Tensor) -> Tensor:
            scale = self.head.scale.clamp(max=np.log(100.0)).exp()  # type: ignore[operator]
            known = log_q.to(scale.device), excluded.to(scale.device)
            return weight * over_prefixes(
                vectors,
                data.config.prefixes,
                lambda some: info_nce(some[: len(pairs)], some[len(pairs) :], scale, *known),
            )

        return backward(self._learning.network, ids, loss_of, passes) / weight, len(ids)

    def _mined(self, pairs: Pairs, rng: np.random.Generator) -> Ints:
        """(m,) items near those of the pairs."""
        if self._near is None:
            return np.empty(0, np.int64)
        found = self._near.draw(pairs.item, self._learning.data.config.hard_negatives, rng)
        return found[found >= 0]

    def excluded(self, pairs: Pairs, items: Ints) -> npt.NDArray[np.bool_]:
        """(n, m) whether item j, of which the first n are the pairs', is no negative of anchor i: its own item, or one
        that its user has had."""
        n_items = self._learning.data.texts.n_items
        asked = pairs.user[:, None] * n_items + items[None, :]
        at = np.minimum(np.searchsorted(self._had, asked), len(self._had) - 1)
        had = (self._had[at] == asked) & (pairs.user >= 0)[:, None]
        mine = had | (pairs.item[:, None] == items[None, :])
        np.fill_diagonal(mine, False)
        return np.asarray(mine)


def _shares(kinds: Sequence[Pairs], config: TuningConfig) -> npt.NDArray[np.float64]:
    """(n,) how often each pair of all kinds is drawn, up to a factor."""
    return np.concatenate([
        np.full(len(pairs), share / max(len(pairs), 1))
        for pairs, share in zip(kinds, config.pairs.values(), strict=True)
    ])  # fmt: skip


def _at_most(n: int | None, kinds: Sequence[Pairs], config: TuningConfig, seed: int) -> list[Pairs]:
    """The pairs of each kind, of which `n` in all are left: drawn by the kinds' shares, none twice."""
    sizes = np.cumsum([0, *map(len, kinds)])
    if n is None or n >= sizes[-1]:
        return list(kinds)
    shares = _shares(kinds, config)
    kept = np.sort(np.random.default_rng([seed, 2]).choice(sizes[-1], n, replace=False, p=shares / shares.sum()))
    parts = np.split(kept, np.searchsorted(kept, sizes[1:-1]))
    return [pairs.take(rows - start) for pairs, rows, start in zip(kinds, parts, sizes[:-1], strict=True)]


def info_nce(anchors: Tensor, targets: Tensor, scale: Tensor, log_q: Tensor, excluded: Tensor) -> Tensor:
    """Mean over pairs of -log softmax of (scale · anchor · target - log q) at the anchor's own target.

    `anchors` (n, d); `targets` (m, d), the anchors' own first; `log_q` (m,) of the targets; `excluded` (n, m) bool.
    """
    anchors, targets = (nn.functional.normalize(v, dim=1) for v in (anchors, targets))
    logits = scale * anchors @ targets.T - log_q
    logits = logits.masked_fill(excluded, -torch.inf)
    return nn.functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
