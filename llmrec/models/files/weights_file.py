"""What was fitted as safetensors: no code runs on loading, and what is not whole is refused by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from llmrec.files import read_bytes, write_bytes


class WeightsError(ValueError):
    """A weights file that cannot be used."""


def save_arrays(uri: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
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
