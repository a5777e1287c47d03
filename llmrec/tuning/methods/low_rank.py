"""Low-rank updates of linear layers, by peft: LoRA, and AdaLoRA, which spends its ranks where they matter.

AdaLoRA (Zhang et al., ICLR 2023): an update is P Λ Q, its singular values Λ begin at `rank` times 1.5 a layer and those
that matter least, by weight times gradient, are set to zero until `rank` a layer are left on average; P and Q are held
near orthogonal.
"""

from typing import Any

import torch
from torch import Tensor

from llmrec.config import TuningConfig
from llmrec.tuning.methods.targets import trained_linears
from llmrec.tuning.network import TextNetwork

_MORE = 1.5  # ranks a layer to begin with, over those that are left
_WARM, _COOL = 0.1, 0.3  # shares of the steps before ranks fall, and after they have
_EVERY = 5  # steps between two cuts
_AVERAGES = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def add_updates(network: TextNetwork, config: TuningConfig) -> None:
    """Freeze the network and give its linear layers updates, in place. Raises ValueError for unknown targets."""
    from peft import AdaLoraConfig, LoraConfig, get_peft_model

    names, lora = list(trained_linears(network, config.lora.targets)), config.lora
    settings: Any = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=names, lora_dropout=0.0)
    if config.method == "adalora":
        begun = int(lora.rank * _MORE) + 1
        settings = AdaLoraConfig(
            target_r=lora.rank, init_r=begun, lora_alpha=lora.alpha * begun / lora.rank, target_modules=names,
            lora_dropout=0.0, total_step=config.steps, tinit=int(_WARM * config.steps),
            tfinal=int(_COOL * config.steps), deltaT=_EVERY, orth_reg_weight=lora.orthogonality,
        )  # fmt: skip
    network.backbone = get_peft_model(network.backbone, settings)


def orthogonality(network: TextNetwork) -> Tensor | None:
    """() how far AdaLoRA's P and Q are from orthogonal, weighed; None of other methods."""
    model = _adaptive(network)
    if model is None:
        return None
    apart = [
        torch.linalg.matrix_norm(
            (w @ w.T if ".lora_A." in name else w.T @ w) - torch.eye(min(w.shape), device=w.device)
        )
        for name, w in network.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    ]
    return torch.stack(apart).mean() * float(_settings(model).orth_reg_weight)


def after_step(network: TextNetwork, step: int) -> None:
    """AdaLoRA notes what mattered in `step`, from 1, whose gradients are still there, and cuts ranks by it."""
    model = _adaptive(network)
    if model is not None:
        model.update_and_allocate(step)


def allocation(network: TextNetwork) -> dict[str, Any]:
    """What AdaLoRA knows so far of what matters, to go on with; empty of other methods."""
    model = _adaptive(network)
    if model is None:
        return {}
    known = {name: {k: v.clone() for k, v in getattr(model.rankallocator, name).items()} for name in _AVERAGES}
    return {**known, "pattern": _settings(model).rank_pattern or {}}


def restore_allocation(network: TextNetwork, known: dict[str, Any]) -> None:
    """Go on from what `allocation` gave."""
    model = _adaptive(network)
    if model is None or not known:
        return
    for name in _AVERAGES:
        setattr(model.rankallocator, name, known[name])
    _settings(model).rank_pattern = known["pattern"]


def _adaptive(network: TextNetwork) -> Any:
    """peft's model of AdaLoRA; None of other methods."""
    model = getattr(network.backbone, "base_model", None)
    return model if hasattr(model, "rankallocator") else None


def _settings(model: Any) -> Any:
    return model.peft_config[model.trainable_adapter_name]
