"""An embedding store addressed by content: key → vector, and what the tokenizer said of the text.

Layout and promises are those of `content_store.py`: `ROOT/vectors/FINGERPRINT/DTYPE/PREFIX/DIGEST-BYTES.parquet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config.text.encoding import StorageDtype
from llmrec.encoding.store.content_store import ContentStore
from llmrec.encoding.store.keys import Keys, keys_array
from llmrec.encoding.store.vectors import decode_vectors, encode_vectors
from llmrec.schema import Column as C


@dataclass(frozen=True)
class Found:
    """What the store holds of n keys; rows that are not present are zero."""

    vectors: npt.NDArray[np.float32]  # (n, dim); (n, 0) where the store is empty
    present: npt.NDArray[np.bool_]  # (n,)


@dataclass(frozen=True)
class EmbeddingStore(ContentStore):
    """The vectors of one encoder in one storage type."""

    dtype: StorageDtype = "float32"

    @property
    def uri(self) -> str:
        return f"{self.root}/vectors/{self.fingerprint}/{self.dtype}"

    def commit(self, keys: Sequence[str], made: Any, width: int = 1) -> None:
        self.put(keys, made.vectors, made.n_tokens, made.n_unknown, width)

    def put(
        self,
        keys: Sequence[str],
        vectors: npt.NDArray[np.float32],
        n_tokens: npt.NDArray[np.int32],
        n_unknown: npt.NDArray[np.int32],
        width: int = 1,
    ) -> None:
        """Commit n vectors, (n, dim), as `put_rows` does."""
        if not len(keys) == len(vectors) == len(n_tokens) == len(n_unknown):
            raise ValueError(
                f"put: {len(keys)} keys, {len(vectors)} vectors, {len(n_tokens)} and {len(n_unknown)} counts; "
                "expected one of each a text"
            )

        def columns(rows: npt.NDArray[np.intp]) -> dict[str, pa.Array]:
            counts = {C.N_TOKENS: n_tokens[rows], C.N_UNKNOWN: n_unknown[rows]}
            return encode_vectors(vectors[rows], self.dtype) | {
                name: pa.array(values, pa.int32()) for name, values in counts.items()
            }

        self.put_rows(keys, columns, width)

    def find(self, keys: Sequence[str] | Keys) -> Found:
        """What the store holds of `keys`, in their order."""
        raw = keys if isinstance(keys, np.ndarray) else keys_array(keys)
        vectors: npt.NDArray[np.float32] | None = None
        present = np.zeros(len(raw), np.bool_)
        for rows, table in self.lookup(raw):
            values = decode_vectors(table)
            if vectors is None:
                vectors = np.zeros((len(raw), values.shape[1]), np.float32)
            vectors[rows] = values
            present[rows] = True
        return Found(np.zeros((len(raw), 0), np.float32) if vectors is None else vectors, present)

    def dim(self) -> int:
        """Length of the stored vectors; 0 where the store is empty."""
        for prefix in self.prefixes():
            for part in self.parts(prefix):
                with self._open(part) as file:
                    return int(file.schema_arrow.field(C.VECTOR).type.list_size)
        return 0
