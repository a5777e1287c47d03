"""The one shape of an objective."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from llmrec.config import EncoderConfig
from llmrec.tuning.data import TuningData
from llmrec.tuning.gradients import Passes
from llmrec.tuning.network import TextNetwork
from llmrec.workers.process_group import ProcessGroup


@dataclass(frozen=True)
class Learning:
    """What objectives learn from and teach; `folder` holds the tokenizer. All workers make theirs at the same time."""

    data: TuningData
    network: TextNetwork
    folder: Path
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    group: ProcessGroup = field(default_factory=ProcessGroup)


class Objective(Protocol):
    """Made of a `Learning`; raises ValueError where the texts do not hold what it needs."""

    #: Weights of its own, which are thrown away once the encoder is tuned.
    head: nn.Module

    def __init__(self, learning: Learning) -> None: ...

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """Draw a batch, the same on every worker, and add `weight` times its gradient; (loss, texts in it)."""


def enough(found: int, wanted: int, what: str, remedy: str) -> None:
    """Raises ValueError where fewer than a batch were found."""
    if found < wanted:
        raise ValueError(f"tuning: found {found} {what}, expected at least tuning.batch_size {wanted}; {remedy}")


def over_prefixes(vectors: Tensor, prefixes: Sequence[int], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean loss of (n, d) vectors and of their first numbers (Matryoshka, arXiv 2205.13147).

    Raises ValueError for a prefix as long as the vector, or longer.
    """
    if bad := [n for n in prefixes if n >= vectors.shape[1]]:
        raise ValueError(
            f"tuning.prefixes: found {bad[0]}, expected fewer than the vector's {vectors.shape[1]} numbers"
        )
    return torch.stack([loss_of(vectors[:, :n]) for n in (*prefixes, vectors.shape[1])]).mean()
