"""The table `readings` and its page, made of what the store holds, without a cluster."""

from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from encoding_stub import corpus_of

from llmrec.encoding.store.keys import text_keys
from llmrec.files import write_parquet
from llmrec.reading import stage
from llmrec.reading.page import AspectPage
from llmrec.reading.readers.lexicon import read_by_words
from llmrec.reading.reading import Readings
from llmrec.reading.store import ReadingStore
from llmrec.schema import READINGS, TEXT_KEYS
from llmrec.storage import Storage

TEXTS = ["The battery is excellent.", "", "🙂", "Refused by the engine.", "The battery is excellent."]


def test_every_review_has_a_row_in_its_place(tmp_path: Path) -> None:
    import numpy as np
    import pyarrow.dataset as pds

    storage = Storage(str(tmp_path))
    corpus, store = corpus_of(storage, TEXTS), ReadingStore(str(tmp_path), "words")
    keys = text_keys("words", TEXTS)
    known = [0, 2]
    values = tuple(read_by_words(TEXTS[at]) for at in known)
    store.commit([str(keys[at]) for at in known], Readings(values, np.ones(2, np.int32)))
    for part, rows in (("000000-00000", range(3)), ("000000-00001", range(3, 5))):
        columns = [["review"] * len(rows), [f"r{at}" for at in rows], [keys[at] for at in rows]]
        arrays = [pa.array(column, pa.string()) for column in columns]
        write_parquet(f"{tmp_path}/keys/{part}.parquet", pa.table(arrays, schema=TEXT_KEYS))
    page = AspectPage()
    failures = {str(keys[3]): ("RuntimeError: out of memory", TEXTS[3])}
    show = partial(stage._show, page, stage._reviews(corpus))
    counts = stage.write_readings(store, f"{tmp_path}/keys", f"{tmp_path}/read", failures, show)
    table = pds.dataset(f"{tmp_path}/read").to_table().sort_by("review_id")
    assert table.schema.equals(READINGS) and counts == {"failed": 3, "spans_dropped": 0, "output_tokens": 0}
    assert table["error"].to_pylist() == [
        None, "the review has no text", "no word to read", "RuntimeError: out of memory", None
    ]  # fmt: skip
    assert table["sentiment"][0].as_py() == table["sentiment"][4].as_py() > 0
    shown = page.html({"reader": "lexicon", "texts": 4, "read": 2, "seconds": 1.0} | counts)
    assert shown.count("<mark>battery</mark>") == 2 and "RuntimeError" not in shown
    with pytest.raises(AssertionError, match="order of the reviews"):
        stage._show(AspectPage(), iter([{"review_id": "other"}]), {"review_id": "r0"})
