"""Which weights of an encoder are tuned: all, the last layers, or low-rank updates that are merged afterwards."""

from typing import Any

from torch import nn

from llmrec.config import TuningConfig
from llmrec.names import nearest
from llmrec.tuning.network import TextNetwork


def apply_method(network: TextNetwork, config: TuningConfig) -> None:
    """Freeze what `tuning.method` leaves alone, in place. Raises ValueError for layers that are not there."""
    if config.method == "last_layers":
        _last_layers(network, config.last_layers)
    elif config.method == "lora":
        _lora(network, config)


def merge(network: TextNetwork) -> None:
    """Add low-rank updates to the weights that they belong to, in place."""
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


def _lora(network: TextNetwork, config: TuningConfig) -> None:
    from peft import LoraConfig, get_peft_model

    used = [name for name, module in network.backbone.named_modules()
            if isinstance(module, nn.Linear) and module.weight.requires_grad]  # fmt: skip
    known = sorted({name.rpartition(".")[2] for name in used})
    for target in config.lora.targets:
        if target not in known:
            raise ValueError(
                f"tuning.lora.targets: no linear layer {target!r} in the model; the nearest is "
                f"{nearest(target, known)!r} of {', '.join(known)}"
            )
    names = [name for name in used if not config.lora.targets or name.rpartition(".")[2] in config.lora.targets]
    settings = LoraConfig(r=config.lora.rank, lora_alpha=config.lora.alpha, target_modules=names, lora_dropout=0.0)
    backbone: Any = network.backbone
    network.backbone = get_peft_model(backbone, settings)
