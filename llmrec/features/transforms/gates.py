"""Learned gates: a small net that pays for every column that it lets in, so that it keeps only those worth it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Floats, Floats32
from llmrec.threads import one_torch_thread

#: Passes over all rows, but not fewer steps than MIN_STEPS, of BATCH rows each.
EPOCHS, MIN_STEPS, BATCH = 60, 600, 256
_SIGMA, _HALF_OPEN = 0.5, 0.5  # noise of a gate, as the authors set it, and where each mu begins
_HIDDEN, _DROPOUT = 32, 0.5  # without dropout the net learns rows by heart, and opens twice as many gates of noise
_RATE, _GATE_RATE = 3e-3, 1e-2
_WARM_UP = 0.2  # share of the steps in which the price rises from 0: an interaction is found before its gates close


def gates(values: npt.NDArray[np.floating], labels: npt.NDArray[np.integer], seed: int) -> Floats:
    """How far a net opens the gate of each column (STG: Yamada, Lindenbaum, Negahban & Kluger, ICML 2020).

    Standardised columns are multiplied by z = clip(mu + noise, 0, 1) with noise ~ N(0, 0.5), and enter a net with one
    hidden layer; mu and the net are fitted to log loss + price * expected number of open gates, sum of Phi(mu / 0.5).
    The price, see `price`, is that of an information criterion: nothing has to be tuned for a corpus.

    The same rows and seed give the same bits: it runs on one thread, whatever torch is set to.

    Args:
        values: (n, k) features, in any units; a constant column says nothing and stays closed.
        labels: (n,) 0 or 1.

    Returns:
        (k,) mu, 0 where it is not above 0 (closed). Above 1 it goes on growing with the use of the column, since noise
        would close the gate now and then: so no two columns are level for being open.
    """
    rows = np.asarray(values, np.float64)
    spread = rows.std(axis=0)
    varying = np.flatnonzero(spread > 0)
    found = np.zeros(rows.shape[1])
    if len(varying):
        scaled = (rows[:, varying] - rows[:, varying].mean(axis=0)) / spread[varying]
        found[varying] = _trained(scaled.astype(np.float32), labels.astype(np.float32), seed)
    return found.clip(0)


def price(n: int, k: int) -> float:
    """Mean log loss that one of k columns must save on n rows: ln(k) / n, but at least 1 / n.

    The best of k columns of noise saves about ln(k) / n by chance (risk inflation criterion: Foster & George, Annals of
    Statistics 1994). With few columns that would be less than what any parameter costs (Akaike 1974).
    Half of it leaves many gates of noise open; twice it closes gates before the net has found what they do together.
    """
    return max(float(np.log(k)), 1.0) / n


def _trained(rows: Floats32, labels: Floats32, seed: int) -> Floats32:
    """(k,) mu of each gate."""
    import torch  # only where gates are asked for

    with one_torch_thread(seed):
        mu = torch.full((rows.shape[1],), _HALF_OPEN, requires_grad=True)
        _fit(_net(rows.shape[1], labels), mu, torch.from_numpy(rows), torch.from_numpy(labels))
    found: Floats32 = mu.detach().numpy()
    return found


def _net(k: int, labels: Floats32) -> Any:
    """k numbers -> a logit that begins near the base rate."""
    from torch import nn

    last, clicks = nn.Linear(_HIDDEN, 1), labels.sum() + 1
    nn.init.constant_(last.bias, float(np.log(clicks / (len(labels) + 2 - clicks))))
    return nn.Sequential(nn.Linear(k, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT), last)


def _fit(net: Any, mu: Any, rows: Any, labels: Any) -> None:
    """Mini-batches in a new order each pass; rates fall to zero over the second half."""
    import torch

    cost, per_epoch = price(*rows.shape), -(-len(rows) // BATCH)
    steps = max(EPOCHS * per_epoch, MIN_STEPS)
    optimizer = torch.optim.Adam([{"params": net.parameters(), "lr": _RATE}, {"params": [mu], "lr": _GATE_RATE}])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 2 * (1 - step / steps)))
    for step in range(steps):
        if step % per_epoch == 0:
            order = torch.randperm(len(rows))
        batch = order[step % per_epoch * BATCH :][:BATCH]
        opened = (mu + _SIGMA * torch.randn(len(batch), len(mu))).clamp(0, 1)
        logits = net(rows[batch] * opened).squeeze(1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch])
        loss = loss + cost * min(1.0, step / (_WARM_UP * steps)) * torch.special.ndtr(mu / _SIGMA).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
