"""Ids of users or of items by row, held so that processes can share a million of them without copying."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.features.arrays import Ints
from llmrec.files import map_arrow, write_arrow


class Ids(Sequence[str]):
    """One id a row; row 0 is "", the unknown. Looks like a list of strings, and lies in one Arrow array."""

    def __init__(self, values: Sequence[str] | pa.Array) -> None:
        self.array: pa.Array = values if isinstance(values, pa.Array) else pa.array(values, pa.string())

    @classmethod
    def of(cls, *columns: pa.ChunkedArray | pa.Array) -> "Ids":
        """All ids of the columns, ascending."""
        unique = [pc.unique(column) for column in columns]
        values = pc.unique(pa.concat_arrays(unique))
        values = values.filter(pc.not_equal(values, ""))
        ascending = values.take(pc.sort_indices(values))
        return cls(pa.concat_arrays([pa.array([""], pa.string()), ascending]))

    def save(self, uri: str) -> None:
        """Write them as one Arrow file."""
        write_arrow(uri, pa.table([self.array], names=["id"]))

    @classmethod
    def load(cls, uri: str) -> "Ids":
        """What `save` wrote, mapped."""
        return cls(map_arrow(uri)["id"].chunk(0))

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return list(self.array[place].to_pylist())
        return str(self.array[int(place)].as_py())

    def __iter__(self) -> Iterator[str]:
        return iter(self.array.to_pylist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash((len(self), self[-1]))

    def __reduce__(self) -> tuple[type["Ids"], tuple[pa.Array]]:
        return Ids, (self.array,)  # the index is made again where it is asked for

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:
        return self.array if type is None else self.array.cast(type)

    def take(self, rows: Ints) -> pa.Array:
        """(n,) string array of the ids of `rows`."""
        return self.array.take(pa.array(rows))

    def rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown; quick for few of them, again and again."""
        rows: Ints = self._index.get_indexer(list(ids)).clip(0).astype(np.int64)
        return rows

    def rows_of(self, column: pa.ChunkedArray) -> Ints:
        """(n,) rows of a column's ids, 0 where unknown; without a Python object for each."""
        found = pc.index_in(column, value_set=self.array)
        rows: Ints = found.fill_null(0).to_numpy().astype(np.int64)
        return rows

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.array.to_pylist())
