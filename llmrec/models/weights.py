"""Weights as safetensors: no code runs on loading, and what does not fit the model is refused by name."""

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from llmrec.files import read_bytes, write_bytes


class WeightsError(ValueError):
    """A weights file that cannot be used."""


def save_weights(uri: str, weights: Mapping[str, Tensor]) -> None:
    """Write a state dict, whole or not at all."""
    write_bytes(uri, save({name: w.detach().cpu().contiguous() for name, w in weights.items()}))


def load_weights(model: nn.Module, uri: str) -> None:
    """Fill `model` from `uri`. Raises WeightsError where the file is missing, cut off, misshapen or not finite."""
    data = read_bytes(uri)
    if data is None:
        raise WeightsError(f"{uri}: found no such file, expected the model's weights; train and assemble again")
    try:
        found = load(data)
    except SafetensorError as error:
        raise WeightsError(f"{uri}: not a whole safetensors file ({error}); copy the bundle again") from None
    expected = model.state_dict()
    if found.keys() != expected.keys():
        missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise WeightsError(f"{uri}: tensors do not fit the model: missing {missing[:5]}, unexpected {extra[:5]}")
    for name, weight in found.items():
        if weight.shape != expected[name].shape:
            raise WeightsError(
                f"{uri}: {name} has shape {tuple(weight.shape)}, expected {tuple(expected[name].shape)} from the "
                "bundle's settings; weights and settings come from different runs"
            )
        if not torch.isfinite(weight).all():
            raise WeightsError(f"{uri}: {name} holds NaN or infinity; expected finite numbers: training diverged")
    model.load_state_dict(found)
