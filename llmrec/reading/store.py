"""The store of readings: as exactly once as that of vectors, keyed by text and by all that decides a reading."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.encoding.store.content_store import ContentStore
from llmrec.encoding.store.keys import Keys
from llmrec.reading.reading import Reading, Readings
from llmrec.schema import Column as C

_READING = "reading"


@dataclass(frozen=True)
class ReadingStore(ContentStore):
    """The readings of one reader: `ROOT/readings/FINGERPRINT/PREFIX/DIGEST-BYTES.parquet`."""

    @property
    def uri(self) -> str:
        return f"{self.root}/readings/{self.fingerprint}"

    def commit(self, keys: Sequence[str], made: Readings, width: int = 1) -> None:
        said = np.array([value.model_dump_json(exclude_defaults=True) for value in made.values], dtype=object)

        def columns(rows: npt.NDArray[np.intp]) -> dict[str, pa.Array]:
            return {
                _READING: pa.array(said[rows].tolist(), pa.string()),
                C.N_TOKENS: pa.array(made.n_tokens[rows], pa.int32()),
                C.N_UNKNOWN: pa.array(made.n_unknown[rows], pa.int32()),
            }

        self.put_rows(keys, columns, width)

    def read(self, keys: Keys) -> list[Reading | None]:
        """(n,) the readings of `keys`, None where there is none."""
        found: list[Reading | None] = [None] * len(keys)
        for rows, table in self.lookup(keys, columns=[_READING]):
            for row, value in zip(rows, table[_READING].to_pylist(), strict=True):
                found[row] = Reading.model_validate_json(value)
        return found
