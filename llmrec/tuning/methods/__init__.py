"""Which weights of an encoder are tuned: all, the last layers, or updates and adapters that are merged afterwards."""

from typing import Any

from torch import nn

from llmrec.config import TuningConfig
from llmrec.tuning.methods.bottleneck import add_bottlenecks, merge_bottlenecks
from llmrec.tuning.methods.low_rank import add_updates, after_step, allocation, orthogonality, restore_allocation
from llmrec.tuning.network import TextNetwork

__all__ = ["after_step", "allocation", "apply_method", "merge", "orthogonality", "restore_allocation"]


def apply_method(network: TextNetwork, config: TuningConfig) -> None:
    """Freeze what `tuning.method` leaves alone, in place. Raises ValueError for layers that are not there."""
    if config.method == "last_layers":
        _last_layers(network, config.last_layers)
    elif config.method == "bottleneck":
        add_bottlenecks(network, config)
    elif config.method != "all":
        add_updates(network, config)


def merge(network: TextNetwork) -> None:
    """Add low-rank updates and adapters to the weights that they belong to, in place."""
    merge_bottlenecks(network)
    backbone: Any = network.backbone
    if hasattr(backbone, "merge_and_unload"):
        network.backbone = backbone.merge_and_unload()


def _last_layers(network: TextNetwork, n: int) -> None:
    stacks = [m for m in network.backbone.modules() if isinstance(m, nn.ModuleList)]
    layers = max(stacks, key=len, default=nn.ModuleList())
    if n > len(layers):
        raise ValueError(f"tuning.last_layers: found {n}, expected at most {len(layers)}, which the model has")
    kept = {id(p) for layer in layers[len(layers) - n :] for p in layer.parameters()}
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in kept)
