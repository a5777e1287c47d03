"""The stores of readings and of profiles: exactly once as for vectors, keyed by text and by all that decides them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.encoding.store.content_store import ContentStore
from llmrec.encoding.store.keys import Keys, keys_array
from llmrec.reading.reading import Reading, Readings, WrittenProfile
from llmrec.schema import Column as C

Said = TypeVar("Said", Reading, WrittenProfile)


@dataclass(frozen=True)
class _SaidStore(ContentStore, Generic[Said]):
    """What one maker says of texts, each as JSON in a column: `ROOT/FOLDER/FINGERPRINT/PREFIX/DIGEST-BYTES.parquet`."""

    folder: ClassVar[str]
    column: ClassVar[str]
    model: ClassVar[Any]  # of Said

    @property
    def uri(self) -> str:
        return f"{self.root}/{self.folder}/{self.fingerprint}"

    def commit(self, keys: Sequence[str], made: Readings[Said], width: int = 1) -> None:
        said = np.array([value.model_dump_json(exclude_defaults=True) for value in made.values], dtype=object)

        def columns(rows: npt.NDArray[np.intp]) -> dict[str, pa.Array]:
            return {
                self.column: pa.array(said[rows].tolist(), pa.string()),
                C.N_TOKENS: pa.array(made.n_tokens[rows], pa.int32()),
                C.N_UNKNOWN: pa.array(made.n_unknown[rows], pa.int32()),
            }

        self.put_rows(keys, columns, width)

    def read(self, keys: Keys) -> list[Said | None]:
        """(n,) what is said of `keys`, None where there is nothing."""
        found: list[Said | None] = [None] * len(keys)
        for rows, table in self.lookup(keys, columns=[self.column]):
            for row, value in zip(rows, table[self.column].to_pylist(), strict=True):
                found[row] = self.model.model_validate_json(value)
        return found

    def missing(self, keys: Sequence[str]) -> list[str]:
        """Those of `keys` of which nothing is said yet, in order."""
        known = np.zeros(len(keys), np.bool_)
        for rows, _ in self.lookup(keys_array(keys), columns=[]):
            known[rows] = True
        return [keys[at] for at in np.flatnonzero(~known)]


class ReadingStore(_SaidStore[Reading]):
    """The readings of one reader."""

    folder, column, model = "readings", "reading", Reading


class ProfileStore(_SaidStore[WrittenProfile]):
    """The profiles that one maker wrote, by the reviews that it read."""

    folder, column, model = "profiles", "profile", WrittenProfile
