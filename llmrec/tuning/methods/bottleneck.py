"""Bottleneck adapters behind the layers that write to the residual stream (Houlsby et al., ICML 2019): y + U D y.

Theirs have a non-linearity between D and U, which no serving engine runs; without it the adapter is merged into the
layer before it, W + U D W, and vLLM serves the result at the frozen encoder's speed: a low-rank update that stays in
the span of what the layer writes already.
"""

from typing import Any

import torch
from torch import Tensor, nn

from llmrec.config import TuningConfig
from llmrec.tuning.methods.targets import trained_linears
from llmrec.tuning.network import TextNetwork

#: Layers of the hidden width that write queries, keys and values, and not to the residual stream.
_INSIDE = ("query", "key", "value", "q_proj", "k_proj", "v_proj", "q_lin", "k_lin", "v_lin")


class Bottleneck(nn.Module):
    """A linear layer and its adapter, which begins as none."""

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.out_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out)."""
        found: Tensor = self.layer(x)
        moved: Tensor = self.up(self.down(found))
        return found + moved

    def merged(self) -> nn.Linear:
        """One linear layer that does the same."""
        with torch.no_grad():
            moved = self.up.weight @ self.down.weight
            self.layer.weight.add_(moved @ self.layer.weight)
            if self.layer.bias is not None:
                self.layer.bias.add_(moved @ self.layer.bias)
        return self.layer


def add_bottlenecks(network: TextNetwork, config: TuningConfig) -> None:
    """Freeze the network and give its layers adapters, in place. Raises ValueError for targets that are not there."""
    named = trained_linears(network, config.lora.targets)
    if not config.lora.targets:
        named = {
            name: layer for name, layer in named.items() if layer.out_features == network.width and not _inside(name)
        }
    if not named:
        raise ValueError(
            "tuning.method bottleneck: found no linear layer that writes the hidden width; name some in "
            "tuning.lora.targets"
        )
    network.backbone.requires_grad_(False)
    for name, layer in named.items():
        _put(network.backbone, name, Bottleneck(layer, config.lora.rank))


def merge_bottlenecks(network: TextNetwork) -> None:
    """Each adapter into its layer, in place."""
    found = [(name, m) for name, m in network.backbone.named_modules() if isinstance(m, Bottleneck)]
    for name, adapter in found:
        _put(network.backbone, name, adapter.merged())


def _inside(name: str) -> bool:
    return name.rpartition(".")[2] in _INSIDE


def _put(backbone: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    place: Any = backbone.get_submodule(parent)
    setattr(place, leaf, module)
