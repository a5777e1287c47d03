"""The words of items as numbers: of their own texts, and of what reviews say of them."""

import logging
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from llmrec.encoding.texts.templates import item_text, review_text
from llmrec.features.asof.ids import Ids
from llmrec.schema import Column as C
from llmrec.storage import Artifact
from llmrec.words import terms

_ROWS = 8_192
_ITEM = (C.TITLE, C.BRAND, C.CATEGORIES, C.DESCRIPTION)


@dataclass(frozen=True)
class ItemWords:
    """(n_items,) words of each item, as numbers from 1 on that `vocabulary` gives in order; row 0 has none."""

    documents: list[list[int]]
    vocabulary: dict[str, int]


def bm25_weights(words: ItemWords) -> sp.csc_matrix:
    """(n_items, words + 1) BM25 weight of each word in each item, Lucene's variant (Kamphuis et al., ECIR 2020)."""
    shape = len(words.documents), len(words.vocabulary) + 1
    if not words.vocabulary:
        return sp.csc_matrix(shape, dtype=np.float32)
    import bm25s  # a second: only where an index is made

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    made = bm25s.BM25(method="lucene")
    made.index((words.documents, {"": 0, **words.vocabulary}), create_empty_token=False, show_progress=False)
    found = made.scores
    return sp.csc_matrix((found["data"].astype(np.float32), found["indices"], found["indptr"]), shape=shape)


class Documents:
    """Words of items, as they come; of more than `most` words of an item the last ones stay."""

    def __init__(self, n: int, most: int | None = None) -> None:
        self._most, self._vocabulary = most, dict[str, int]()
        self._documents = [array("i") for _ in range(n)]

    def add(self, row: int, words: list[str]) -> None:
        """More words of an item."""
        numbers = self._vocabulary
        document = self._documents[row]
        document.extend(numbers.setdefault(word, len(numbers) + 1) for word in words)
        if self._most is not None and len(document) > 2 * self._most:
            del document[: -self._most]

    def whole(self) -> ItemWords:
        """What there is by now."""
        most = slice(None) if self._most is None else slice(-self._most or None, None)
        return ItemWords([document[most].tolist() for document in self._documents], self._vocabulary)


def item_words(corpus: Artifact, item_ids: Ids, before: int, review_words: int) -> ItemWords:
    """Of items by row: their own texts, and the last `review_words` words of reviews from before a time (ms)."""
    own, said = Documents(len(item_ids)), Documents(len(item_ids), review_words)
    for row, text in _items(corpus, item_ids):
        own.add(row, terms(text))
    if review_words:
        for rows, texts in reviews(corpus, item_ids, before):
            for row, text in zip(rows, texts, strict=True):
                said.add(row, terms(text))
    spoken = said.whole()
    names = list(spoken.vocabulary)
    for row, document in enumerate(spoken.documents):
        own.add(row, [names[number - 1] for number in document])
    return own.whole()


def _items(corpus: Artifact, item_ids: Ids) -> Iterator[tuple[int, str]]:
    table = corpus.table("items")
    rows = item_ids.rows_of(table[C.ITEM_ID]).tolist()
    columns = (table[name].to_pylist() if name in table.column_names else [None] * len(table) for name in _ITEM)
    for row, *fields in zip(rows, *columns, strict=True):
        if row > 0:
            yield row, item_text(*fields)


def reviews(corpus: Artifact, item_ids: Ids, before: int | None = None) -> Iterator[tuple[list[int], list[str]]]:
    """Rows of the items and texts of the reviews, some at a time, in order of the corpus's files."""
    earlier = None if before is None else pc.field(C.TIMESTAMP) < before
    columns = [C.ITEM_ID, C.TITLE, C.TEXT]
    read = corpus.dataset("reviews").to_batches(columns=columns, filter=earlier, batch_size=_ROWS, batch_readahead=1)
    for batch in read:
        rows = item_ids.rows_of(pa.chunked_array([batch[C.ITEM_ID]]))
        pairs = zip(batch[C.TITLE].to_pylist(), batch[C.TEXT].to_pylist(), strict=True)
        yield rows.tolist(), [review_text(title, text) for title, text in pairs]
