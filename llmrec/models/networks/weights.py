"""A network's weights as named arrays: what does not fit the network is refused by name."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from llmrec.models.files.weights_file import WeightsError

Arrays = Mapping[str, npt.NDArray[Any]]


def to_arrays(net: nn.Module, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
    """A network's weights by name."""
    return {prefix + name: w.detach().cpu().numpy() for name, w in net.state_dict().items()}


def from_arrays(net: nn.Module, arrays: Arrays, prefix: str = "") -> None:
    """Fill `net` with what `to_arrays` gave. Raises WeightsError where names or shapes differ from the network's."""
    found = {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
    expected = net.state_dict()
    if found.keys() != expected.keys():
        missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise WeightsError(f"weights: tensors do not fit the model: missing {missing[:5]}, unexpected {extra[:5]}")
    for name, values in found.items():
        if values.shape != tuple(expected[name].shape):
            raise WeightsError(
                f"weights: {name} has shape {values.shape}, expected {tuple(expected[name].shape)} from the "
                "bundle's settings; weights and settings come from different runs"
            )
    net.load_state_dict({name: torch.tensor(values) for name, values in found.items()})
