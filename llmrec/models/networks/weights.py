"""What was fitted as safetensors: no code runs on loading, and what does not fit the model is refused by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import nn

from llmrec.files import read_bytes, write_bytes

Arrays = Mapping[str, npt.NDArray[Any]]


class WeightsError(ValueError):
    """A weights file that cannot be used."""


def save_arrays(uri: str, arrays: Arrays) -> None:
    """Write named arrays, whole or not at all."""
    write_bytes(uri, save({name: np.array(values, order="C") for name, values in arrays.items()}))


def load_arrays(uri: str) -> dict[str, npt.NDArray[Any]]:
    """What `save_arrays` wrote. Raises WeightsError where the file is missing, cut off or not finite."""
    data = read_bytes(uri)
    if data is None:
        raise WeightsError(f"{uri}: found no such file, expected the model's weights; train and assemble again")
    try:
        found: dict[str, npt.NDArray[Any]] = load(data)
    except SafetensorError as error:
        raise WeightsError(f"{uri}: not a whole safetensors file ({error}); copy the bundle again") from None
    for name, values in found.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise WeightsError(f"{uri}: {name} holds NaN or infinity; expected finite numbers: training diverged")
    return found


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
