"""From the corpus's tables to texts under their keys, a row group at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.encoder import prompted
from llmrec.encoding.store.keys import text_keys
from llmrec.encoding.texts.sequences import sequences_of
from llmrec.encoding.texts.templates import item_text, review_text
from llmrec.files import filesystem, write_parquet
from llmrec.schema import TEXT_KEYS
from llmrec.schema import Column as C
from llmrec.storage import Artifact

#: A text under its key, and the shard that the key belongs to. Text without its prompt: the encoder adds that. Large
#: strings, for the texts of one task may be more than 2 GiB.
TEXTS = pa.schema([pa.field(C.KEY, pa.string()), pa.field("shard", pa.int32()), pa.field(C.TEXT, pa.large_string())])
_TABLES = {"review": "reviews", "item": "items"}
_COLUMNS = {
    "review": [C.REVIEW_ID, C.TITLE, C.TEXT],
    "item": [C.ITEM_ID, C.TITLE, C.BRAND, C.CATEGORIES, C.DESCRIPTION],
    "text": ["id", C.TEXT],
}
_ROWS = 4096  # read at once, and rows of one part of `text_keys`
_FRAGMENT_ROWS = 32 * _ROWS  # what one task holds in memory


@dataclass(frozen=True)
class Fragment:
    """At most _FRAGMENT_ROWS rows of a row group of one of the corpus's files."""

    kind: str  # "review", "item", "sequence", or "text": a table of ids and texts
    uri: str
    row_group: int
    start: int  # within the row group; for a sequence, whose text needs earlier rows, within the file
    n_rows: int
    item_uris: tuple[str, ...] = ()  # sequences alone: where the titles lie
    length: int = 0  # sequences alone: items in one


def fragments(corpus: Artifact, sequence_items: int = 0) -> list[Fragment]:
    """All rows of `reviews` and `items`, in order; then each review's sequence, where they have any items."""
    parts = {kind: tuple(corpus.uris(t) or [corpus.uri(f"{t}.parquet")]) for kind, t in _TABLES.items()}
    found = [fragment for kind, uris in parts.items() for fragment in fragments_of(kind, uris)]
    if sequence_items:
        found += [
            Fragment("sequence", uri, 0, start, min(_FRAGMENT_ROWS, rows - start), parts["item"], sequence_items)
            for uri in parts["review"]
            for rows in [sum(_row_groups(uri))]
            for start in range(0, rows, _FRAGMENT_ROWS)
        ]
    return found


def fragments_of(kind: str, uris: Iterable[str]) -> list[Fragment]:
    """All rows of files, in order."""
    return [
        Fragment(kind, uri, group, start, min(_FRAGMENT_ROWS, rows - start))
        for uri in uris
        for group, rows in enumerate(_row_groups(uri))
        for start in range(0, rows, _FRAGMENT_ROWS)
    ]


def _row_groups(uri: str) -> list[int]:
    """The rows of each row group of a file."""
    fs, path = filesystem(uri)
    with pq.ParquetFile(fs.open_input_file(path)) as file:
        return [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]


def scan(fragment: Fragment, config: EncoderConfig, fingerprint: str, width: int, target: str) -> Iterator[pa.Table]:
    """TEXTS of one fragment; writes its part of `text_keys` as `TARGET-00000.parquet` and so on.

    The names depend on the fragment alone: a task that Ray runs twice writes the same files twice.
    """
    for at, (ids, texts) in enumerate(_read(fragment)):
        keys = text_keys(fingerprint, prompted_texts(config, texts))
        columns = [pa.array([fragment.kind] * len(ids)), pa.array(ids), pa.array(keys, pa.string())]
        write_parquet(f"{target}-{at:05d}.parquet", pa.table(columns, schema=TEXT_KEYS))
        yield _texts(keys, texts, width)


def _read(fragment: Fragment) -> Iterator[tuple[list[str], list[str]]]:
    """Ids and texts of the fragment's rows, _ROWS at a time."""
    if fragment.kind == "sequence":
        end = fragment.start + fragment.n_rows
        ids, texts = sequences_of(fragment.uri, fragment.start, end, fragment.item_uris, fragment.length)
        yield from ((ids[at : at + _ROWS], texts[at : at + _ROWS]) for at in range(0, len(ids), _ROWS))
        return
    fs, path = filesystem(fragment.uri)
    with pq.ParquetFile(fs.open_input_file(path)) as file:
        batches = file.iter_batches(_ROWS, row_groups=[fragment.row_group], columns=_COLUMNS[fragment.kind])
        first = fragment.start // _ROWS
        for batch in islice(batches, first, first + -(-fragment.n_rows // _ROWS)):
            yield ids_and_texts(fragment.kind, batch.to_pylist())


def ids_and_texts(kind: str, rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The ids of reviews or items, and their texts by the one template; or ids and texts as they are."""
    if kind == "text":
        return [r["id"] for r in rows], [r[C.TEXT] for r in rows]
    if kind == "review":
        return [r[C.REVIEW_ID] for r in rows], [review_text(r[C.TITLE], r[C.TEXT]) for r in rows]
    texts = [item_text(r[C.TITLE], r[C.BRAND], r[C.CATEGORIES], r[C.DESCRIPTION]) for r in rows]
    return [r[C.ITEM_ID] for r in rows], texts


def prompted_texts(config: EncoderConfig, texts: list[str]) -> list[str]:
    """Texts as encoded; "" stays "", for there is nothing to encode behind the prompt."""
    return [whole if text else "" for text, whole in zip(texts, prompted(config, texts), strict=True)]


def _texts(keys: list[str | None], texts: list[str], width: int) -> pa.Table:
    rows = [(key, int(key[:width], 16), text) for key, text in zip(keys, texts, strict=True) if key is not None]
    return pa.table(
        [pa.array(column, f.type) for column, f in zip(_transposed(rows), TEXTS, strict=True)], schema=TEXTS
    )


def _transposed(rows: list[tuple[str, int, str]]) -> list[list[Any]]:
    return [[row[column] for row in rows] for column in range(len(TEXTS))]
