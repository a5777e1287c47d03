"""The one shape of an objective."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import nn

from llmrec.tuning.data import TuningData
from llmrec.tuning.gradients import Passes
from llmrec.tuning.network import TextNetwork


@dataclass(frozen=True)
class Learning:
    """What objectives learn from and teach; `folder` holds the tokenizer."""

    data: TuningData
    network: TextNetwork
    folder: Path


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
