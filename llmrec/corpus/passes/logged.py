"""What came while the server ran, as jobs.refresh wrote it (`corpus.logged`): our own columns, beside any source.

What the log holds passes the same parsers and passes as those of files. What the log says of an item takes the
place of what files say: its title, brand, categories, description and price; its date and vectors stay.
"""

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.files import ReadingConfig
from llmrec.corpus.readers.files import InputFile
from llmrec.schema import C

#: What a PUT says the whole of.
SAID = (C.TITLE, C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES)
KINDS = ("reviews", "items", "events", "relations")


def reading_of_log(config: CorpusConfig) -> CorpusConfig:
    """How its rows are read: the corpus's scale and rules, our own columns and kinds of events."""
    ours: dict[str, Any] = {name: {} for name in ("columns", "item_columns", "event_columns", "relation_columns")}
    ours |= {"context_columns": {}, "item_vectors": {}, "event_kinds": {}, "event_kind": None}
    formats = ("review_format", "item_format", "event_format", "relation_format")
    own = {"source": "table"} | ours | dict.fromkeys(formats, ReadingConfig())
    return config.model_copy(update=own)


def kind_of(file: InputFile) -> str:
    """What rows the file holds, by its name. Raises ValueError for another name."""
    name = PurePosixPath(file.path).name
    for kind in KINDS:
        if name.startswith(kind):
            return kind
    raise ValueError(f"corpus.logged: found {file.path}, expected files named {' or '.join(f'{k}*' for k in KINDS)}")


def last_word(rows: pa.Table, from_log: npt.NDArray[np.bool_]) -> pa.Table:
    """`rows` of items, of which those that the log names say nothing of SAID but in their last row of the log."""
    if not from_log.any():
        return rows
    ids = rows.column(C.ITEM_ID).to_pylist()
    last = {ids[place]: place for place in np.flatnonzero(from_log).tolist()}
    silent = np.array([last.get(name, place) != place for place, name in enumerate(ids)])
    for name in SAID:
        column, place = rows.column(name), rows.schema.get_field_index(name)
        kept = pc.if_else(pa.array(silent), pa.scalar(None, column.type), column)
        rows = rows.set_column(place, rows.schema.field(name), kept)
    return rows
