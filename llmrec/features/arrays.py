"""Arrays in files: written whole, and read by mapping, so that what nobody asks for takes no memory.

Processes of a machine that map one file share it; its pages are the system's to keep or to drop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from llmrec.files import local_path, read_bytes, write_bytes, writing

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """(n, ...) rows that lie in one or more arrays, one behind the other."""

    parts: tuple[npt.NDArray[Any], ...]
    starts: Ints  # (parts + 1,) number of the first row of each, and of all rows

    @classmethod
    def of(cls, *parts: npt.NDArray[Any]) -> "Rows":
        """One array at least, all alike but in length."""
        return cls(parts, np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64))

    @classmethod
    def mapped(cls, uris: Sequence[str]) -> "Rows":
        """The arrays that `write_array` wrote, in order."""
        return cls.of(*(map_array(uri) for uri in uris))

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.parts[0].shape[1:])

    def take(self, numbers: Ints, inner: Sequence[int] | None = None) -> npt.NDArray[Any]:
        """Rows `numbers` (...,), of each the entries `inner` of its first axis, or all of them."""
        if len(self.parts) == 1:
            return self._of(self.parts[0], numbers, inner)
        shape = self.shape[1:] if inner is None else (len(inner), *self.shape[2:])
        found = np.empty((*numbers.shape, *shape), self.parts[0].dtype)
        place = np.searchsorted(self.starts, numbers, side="right") - 1
        for part in np.unique(place):
            here = place == part
            found[here] = self._of(self.parts[part], numbers[here] - self.starts[part], inner)
        return found

    @staticmethod
    def _of(array: npt.NDArray[Any], numbers: Ints, inner: Sequence[int] | None) -> npt.NDArray[Any]:
        if inner is None:
            return array[numbers]
        found: npt.NDArray[Any] = array[numbers[..., None], np.asarray(inner)]
        return found

    def whole(self) -> npt.NDArray[Any]:
        """All rows as one array in memory."""
        return np.concatenate(self.parts)


def vectors_of(column: pa.ChunkedArray) -> Floats32:
    """(n, dim) view of a fixed-size list column."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
    flat: Floats32 = array.flatten().to_numpy()
    return flat.reshape(len(array), array.type.list_size)


def write_array(uri: str, values: npt.NDArray[Any]) -> None:
    """Write one array as .npy (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)."""
    with writing(uri) as file:
        np.save(file, np.ascontiguousarray(values), allow_pickle=False)


def map_array(uri: str) -> npt.NDArray[Any]:
    """What `write_array` wrote, read only. Raises FileNotFoundError, or ValueError for a file that is cut off."""
    try:
        values: npt.NDArray[Any] = np.load(local_path(uri), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{uri}: not a whole .npy file ({error}); make what it belongs to again") from None
    return values.view(np.ndarray)


def write_arrays(uri: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write named arrays as one file of safetensors."""
    write_bytes(uri, save_tensors({name: np.ascontiguousarray(values) for name, values in arrays.items()}))


def find_arrays(uri: str) -> dict[str, npt.NDArray[Any]] | None:
    """What `write_arrays` wrote, in memory; None where there is nothing."""
    data = read_bytes(uri)
    if data is None:
        return None
    arrays: dict[str, npt.NDArray[Any]] = load_tensors(data)
    return arrays


def read_arrays(uri: str) -> dict[str, npt.NDArray[Any]]:
    """What `write_arrays` wrote, in memory. Raises FileNotFoundError."""
    arrays = find_arrays(uri)
    if arrays is None:
        raise FileNotFoundError(f"{uri}: the file is gone; does every node see the storage?")
    return arrays
