"""Parquet: the columns that are wanted, every value by itself where a batch holds one that Python cannot take."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.corpus.readers.files import InputFile
from llmrec.corpus.values.errors import RowError, Unreadable

_BATCH = 4_096


def opened(file: InputFile) -> pq.ParquetFile:
    """The file. Raises ValueError where it is not a whole Parquet file."""
    try:
        return pq.ParquetFile(file.path, filesystem=file.filesystem())
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"corpus: {file.path}: not a whole Parquet file ({error}); fetch or write it again") from None


def parquet_rows(file: InputFile, wanted: set[str] | None) -> Iterator[dict[str, Any] | RowError]:
    """The fields of each row, `wanted` columns alone (None: all); a RowError last where the file is damaged."""
    source = opened(file)
    names = [name for name in source.schema_arrow.names if wanted is None or name in wanted]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"corpus: {file.path}: the column {twice[0]} comes more than once; write one of them alone")
    try:
        for batch in source.iter_batches(_BATCH, columns=names):
            columns = [_values(column) for column in batch.columns]
            for n in range(batch.num_rows):
                yield {name: column[n] for name, column in zip(batch.schema.names, columns, strict=True)}
    except (pa.ArrowException, OSError) as error:
        yield RowError("truncated_file", f"the Parquet file is damaged: {error}; the rows before are kept")


def _values(column: pa.Array) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist()
    except Exception:  # one value stands for nothing in Python: a time in the year 49,000
        found = [_value(scalar) for scalar in column]
    return [_text(value) for value in found] if pa.types.is_nested(column.type) or _binary(column.type) else found


def _binary(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(
        pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_fixed_size_binary(inner)
        or pa.types.is_binary_view(inner)
    )  # fmt: skip


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except Exception as error:
        return Unreadable(f"{scalar.type} out of range ({error})")


def _text(value: Any) -> Any:
    """Bytes that are UTF-8 are text: Impala, Hive and old Spark write it so."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return Unreadable(f"{value[:40]!r}, which is not UTF-8")
    if isinstance(value, list):
        return [_text(part) for part in value]
    return {name: _text(part) for name, part in value.items()} if isinstance(value, dict) else value
