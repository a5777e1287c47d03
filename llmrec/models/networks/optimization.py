"""How a network learns: optimisers by name, those of tables of ids apart; rates that change, clipping, precision."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

import torch
from lion_pytorch import Lion  # torch has none
from pydantic import Field
from torch import nn

from llmrec.config.models import ModelConfig
from llmrec.models.networks.layers import IdEmbedding

OptimizerName = Literal["adamw", "adagrad", "lion"]
Schedule = Literal["constant", "cosine", "one_cycle"]

_TABLES = "tables"
#: What share of the highest rate one_cycle begins with (Smith & Topin, 2018; fast.ai's default).
_BEGIN = 1 / 25


class OptimizationConfig(ModelConfig):
    """What the settings of every network hold that Ray Train fits; each has defaults of its own."""

    optimizer: OptimizerName = Field(
        "adamw", description="lion wants a third to a tenth of the rate of adamw (Chen et al., NeurIPS 2023)"
    )
    learning_rate: float = Field(1e-3, gt=0, description="the highest, where it changes")
    weight_decay: float = Field(1e-4, ge=0)
    schedule: Schedule = Field(
        "constant", description="what follows the warm-up: cosine falls to 0; one_cycle begins at 1/25, not at 0"
    )
    warm_up: float = Field(0.0, ge=0, lt=1, description="share of the steps of all `epochs` in which the rate rises")
    clip_norm: float | None = Field(None, gt=0, description="longest gradient of a step, of the mean loss a row")
    embedding_optimizer: OptimizerName | None = Field(None, description="of the tables of ids; null: as the rest")
    embedding_learning_rate: float | None = Field(None, gt=0, description="of the tables of ids; null: as the rest")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: products in it by autocast, weights and sums in float32; slow on CPUs without"
    )


class Stepper(Protocol):
    """What an epoch needs of an optimiser: all of `Optimization`, or one of torch's."""

    def zero_grad(self) -> None: ...

    def step(self) -> Any: ...


def rate_factor(schedule: Schedule, done: float, warm_up: float) -> float:
    """Factor of the learning rate where the share `done` of all steps is done.

    `cosine`: half a cosine down to 0 (Loshchilov & Hutter, ICLR 2017, without restarts) after a line from 0. In
    `one_cycle` the rise is half a cosine too (Smith & Topin, 2018).
    """
    if done < warm_up:
        share = done / warm_up
        return share if schedule != "one_cycle" else 1 - (1 - _BEGIN) * _half_cosine(share)
    return 1.0 if schedule == "constant" else _half_cosine(min((done - warm_up) / max(1 - warm_up, 1e-9), 1.0))


def _half_cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def _make(name: OptimizerName, parameters: list[nn.Parameter], rate: float, decay: float) -> torch.optim.Optimizer:
    made: dict[OptimizerName, Callable[..., torch.optim.Optimizer]] = {
        "adamw": torch.optim.AdamW, "adagrad": torch.optim.Adagrad, "lion": Lion
    }  # fmt: skip
    return made[name](parameters, lr=rate, weight_decay=decay)


class Optimization:
    """The steps of a fit, at most `n_steps`. Where it stands is in its state, so that a resumed fit goes on."""

    def __init__(self, net: nn.Module, config: OptimizationConfig, n_steps: int) -> None:
        self._config, self._n_steps, self._made = config, n_steps, 0
        own = config.embedding_optimizer or config.embedding_learning_rate
        tables = {p for m in net.modules() if isinstance(m, IdEmbedding) for p in m.parameters()} if own else set()
        self._parameters = list(net.parameters())
        c, parts = config, {"rest": [p for p in self._parameters if p not in tables],
                            _TABLES: [p for p in self._parameters if p in tables]}  # fmt: skip
        self._rates = {"rest": c.learning_rate, _TABLES: c.embedding_learning_rate or c.learning_rate}
        names = {"rest": c.optimizer, _TABLES: c.embedding_optimizer or c.optimizer}
        self._optimizers = {
            part: _make(names[part], found, self._rates[part], c.weight_decay) for part, found in parts.items() if found
        }

    def zero_grad(self) -> None:
        for optimizer in self._optimizers.values():
            optimizer.zero_grad()

    def step(self) -> None:
        """One step along the gradients that are there."""
        self._made += 1
        c = self._config
        if c.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, c.clip_norm)
        factor = rate_factor(c.schedule, self._made / (self._n_steps + 1), c.warm_up)
        for part, optimizer in self._optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[part] * factor
            optimizer.step()

    def autocast(self, device: str) -> AbstractContextManager[Any]:
        """The precision of what is computed inside, steps too: no copy of a weight outlives its use."""
        kind, enabled = torch.device(device).type, self._config.precision == "bfloat16"
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)

    def state_dict(self) -> dict[str, Any]:
        return {"made": self._made, **{part: o.state_dict() for part, o in self._optimizers.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._made = state["made"]
        for part, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state[part])
