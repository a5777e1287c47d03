"""The linear layers that updates are put on."""

from torch import nn

from llmrec.names import nearest
from llmrec.tuning.network import TextNetwork


def trained_linears(network: TextNetwork, targets: tuple[str, ...]) -> dict[str, nn.Linear]:
    """Linear layers that vectors depend on, by their whole names, of which `targets` (none: all) are the last parts.

    Raises ValueError for a target that is no linear layer's.
    """
    used = {
        name: module
        for name, module in network.backbone.named_modules()
        if isinstance(module, nn.Linear) and module.weight.requires_grad
    }
    known = sorted({name.rpartition(".")[2] for name in used})
    for target in targets:
        if target not in known:
            raise ValueError(
                f"tuning.lora.targets: no linear layer {target!r} in the model; the nearest is "
                f"{nearest(target, known)!r} of {', '.join(known)}"
            )
    return {name: layer for name, layer in used.items() if not targets or name.rpartition(".")[2] in targets}
