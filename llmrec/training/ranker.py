"""Epochs of the CTR ranker, and its predictions."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from llmrec.config import RankerConfig
from llmrec.models.ranker import Ranker
from llmrec.training.data import Examples
from llmrec.training.process_group import ProcessGroup

Floats = npt.NDArray[np.float32]


def ranker_epoch(
    model: Ranker, optimizer: torch.optim.Optimizer, rows: Examples, config: RankerConfig, group: ProcessGroup,
    rng: np.random.Generator, n_rows: int,
) -> float:  # fmt: skip
    """One pass over all workers' rows in random order; returns the mean log loss a row, over all of them.

    `n_rows`: the largest number of rows a worker has. `rng` must be in the same state on every worker.
    """
    model.train()
    order = rng.permutation(n_rows)
    order = order[order < len(rows)]
    total = torch.zeros(2, device=group.device)
    for start in range(0, n_rows, config.batch_size):
        optimizer.zero_grad()
        part = rows.take(order[start : start + config.batch_size])
        if len(part):
            logits = _logits(model, part, group.device)
            clicks = torch.as_tensor(part.click, device=group.device)
            loss = F.binary_cross_entropy_with_logits(logits, clicks, reduction="sum")
            loss.backward()  # type: ignore[no-untyped-call]
            total += torch.stack([loss.detach(), torch.tensor(float(len(part)), device=group.device)])
        group.average_gradients(model.parameters(), len(part))
        optimizer.step()
    summed = group.sum(total)
    return float(summed[0] / summed[1])


@torch.inference_mode()
def predict(model: Ranker, rows: Examples, batch_size: int = 8_192, device: str = "cpu") -> Floats:
    """(N,) probability of a click, in the order of `rows`."""
    model.eval()
    parts = [
        torch.sigmoid(_logits(model, rows.take(slice(start, start + batch_size)), device)).cpu().numpy()
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate([*parts, np.zeros(0, np.float32)])


def _logits(model: Ranker, rows: Examples, device: str) -> torch.Tensor:
    columns = (rows.user_idx, rows.item_idx, rows.history, rows.ages, rows.dense)
    logits: torch.Tensor = model(*(torch.as_tensor(c, device=device) for c in columns))
    return logits
