"""Learned non-linear reduction: the encoder half of an autoencoder, fitted with torch, applied with numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from llmrec.features.arrays import Floats32
from llmrec.features.transforms.projection import Kind, Moments, check_dim, reduced
from llmrec.threads import one_torch_thread

#: Passes over all vectors, but not fewer steps than MIN_STEPS, of BATCH vectors each.
EPOCHS, MIN_STEPS, BATCH = 20, 300, 256
_HIDDEN, _LEAST_HIDDEN = 4, 32  # units of the hidden layer for each number of the code, and in all
_RATE = 3e-3
_CHUNK = 1 << 14


@dataclass(frozen=True)
class Autoencoder:
    """Centre (reviews and items apart), linear, GELU, linear: the code of an autoencoder (Hinton & Salakhutdinov,
    Science 2006) that gives back the centred vectors with the least squared error.

    Codes of the fitted vectors have mean zero and a mean squared length of one.
    """

    review_mean: Floats32  # (input_dim,)
    item_mean: Floats32  # (input_dim,)
    hidden: Floats32  # (input_dim, H)
    hidden_bias: Floats32  # (H,)
    code: Floats32  # (H, dim)
    code_bias: Floats32  # (dim,)
    explained: Floats32  # (1,) share of the fitted vectors' variance that the decoder gave back

    @classmethod
    def fit(cls, reviews: Floats32, items: Floats32, text_dim: int, seed: int) -> "Autoencoder":
        """From the vectors (n, dim) of training reviews and (m, dim) of items; a zero row says that there is none.

        It holds them all: at scale they are a sample, evenly spaced over time (`reduction.Sample`).
        The same rows and seed give the same bits: it runs on one thread, whatever torch is set to.
        """
        means = [Moments.of(rows).mean.astype(np.float32) for rows in (reviews, items)]
        parts = zip((reviews, items), means, strict=True)
        rows = np.concatenate([part[part.any(axis=1)] - mean for part, mean in parts])
        scale = np.sqrt(np.mean(rows**2)) if rows.any() else np.float32(1)
        (hidden, *others), explained = _trained(rows / scale, min(text_dim, rows.shape[1]), seed)
        arrays = [*means, hidden / scale, *others, np.array([explained], np.float32)]
        return cls(*arrays)._centred(rows)

    @property
    def input_dim(self) -> int:
        return len(self.hidden)

    @property
    def dim(self) -> int:
        return len(self.code_bias)

    def __call__(self, vectors: npt.NDArray[np.floating], kind: Kind) -> Floats32:
        """(n, input_dim) -> (n, dim); zero rows stay zero. Raises ValueError on another `input_dim`."""
        check_dim(vectors, self.input_dim)
        mean = self.review_mean if kind == "review" else self.item_mean
        return reduced(vectors, mean, self.dim, self._codes)

    def _codes(self, centred: Floats32) -> Floats32:
        # einsum instead of BLAS: a row's code must not depend on how many rows are coded with it
        raw = np.einsum("nd,dh->nh", centred, self.hidden) + self.hidden_bias
        active = (raw * (1 + erf(raw / np.sqrt(np.float32(2)))) / 2).astype(np.float32)
        codes: Floats32 = np.einsum("nh,hk->nk", active, self.code) + self.code_bias
        return codes

    def _centred(self, rows: Floats32) -> "Autoencoder":
        """With codes of mean zero and mean squared length one on the centred `rows` (n, input_dim)."""
        if not len(rows):
            return self
        codes = np.concatenate([self._codes(rows[at : at + _CHUNK]) for at in range(0, len(rows), _CHUNK)])
        mean = codes.mean(axis=0, dtype=np.float64)
        length = np.sqrt(((codes - mean) ** 2).sum(axis=1).mean()) or 1.0
        scaled = {"code": self.code / length, "code_bias": (self.code_bias - mean) / length}
        return Autoencoder(**(vars(self) | {k: v.astype(np.float32) for k, v in scaled.items()}))


def _trained(rows: Floats32, dim: int, seed: int) -> tuple[list[npt.NDArray[np.float32]], float]:
    """(hidden, hidden_bias, code, code_bias) after Adam on the squared error, and the share of variance explained."""
    import torch  # only where one is fitted: to apply it takes numpy

    with one_torch_thread(seed):
        encoder, decoder = _halves(rows.shape[1], dim)
        explained = _fit(torch.nn.Sequential(encoder, decoder), torch.from_numpy(rows))
    first, last = encoder[0], encoder[2]
    layers = (first.weight.T, first.bias, last.weight.T, last.bias)
    return [np.ascontiguousarray(layer.detach().numpy()) for layer in layers], explained


def _halves(input_dim: int, dim: int) -> Any:
    from torch import nn

    wide = max(_HIDDEN * dim, _LEAST_HIDDEN)
    return (
        nn.Sequential(nn.Linear(input_dim, wide), nn.GELU(), nn.Linear(wide, dim)),
        nn.Sequential(nn.Linear(dim, wide), nn.GELU(), nn.Linear(wide, input_dim)),
    )


def _fit(model: Any, rows: Any) -> float:
    """Mini-batches in a new order each pass, the rate falling to zero; the share of variance explained."""
    import torch

    if not len(rows):
        return 0.0
    per_epoch = -(-len(rows) // BATCH)
    steps = max(EPOCHS * per_epoch, MIN_STEPS)
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(rows))
        batch = rows[order[step % per_epoch * BATCH :][:BATCH]]
        loss = torch.nn.functional.mse_loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        left = sum(float(((model(part) - part) ** 2).sum()) for part in rows.split(_CHUNK))
    return 1 - left / (float((rows**2).sum()) or 1.0)
