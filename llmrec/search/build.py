"""The search index of a bundle, from its corpus, its embeddings and its History."""

from array import array
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from llmrec.config import SearchConfig
from llmrec.encoding import load_vectors, review_text
from llmrec.features.arrays import Floats32
from llmrec.features.asof.ids import Ids
from llmrec.schema import Column as C
from llmrec.search.index import SearchIndex
from llmrec.search.quotes import build_quotes
from llmrec.search.reviews import reviews_with_vectors
from llmrec.search.texts import ItemTexts
from llmrec.search.vectors import ItemVectors
from llmrec.search.words import WordIndex
from llmrec.storage import Artifact, Storage
from llmrec.words import terms

#: How often a field's words count: what an item is called and what it is say more than a sentence about it.
_COUNTS = {C.TITLE: 3, C.CATEGORIES: 3}
_ROWS = 8_192


def build_index(
    config: SearchConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, item_ids: Ids
) -> SearchIndex:
    """Index the items `item_ids` of a History by their own texts, by their reviews, and by vectors where there are."""
    items = corpus.table("items")
    texts = ItemTexts.of(items, item_ids.rows_of(items[C.ITEM_ID]), len(item_ids))
    own, said = _Documents(len(item_ids), None), _Documents(len(item_ids), config.review_words)
    for row in range(1, len(item_ids)):
        for name, text in texts.fields(row).items():
            own.add(row, terms(text) * _COUNTS.get(name, 1))
    if config.review_words:
        for rows, spoken in _reviews(corpus, item_ids):
            for row, text in zip(rows, spoken, strict=True):
                said.add(row, terms(text))
    vectors = None if embeddings is None else _vectors(storage, corpus, embeddings, item_ids)
    quotes = build_quotes(config.quotes, storage, corpus, embeddings, item_ids)
    return SearchIndex(texts, own.index(), said.index(), None if vectors is None else ItemVectors.of(vectors), quotes)


class _Documents:
    """Words of items as numbers; of more than `most` words of an item the last ones stay."""

    def __init__(self, n: int, most: int | None) -> None:
        self._most, self._vocabulary = most, dict[str, int]()
        self._documents = [array("i") for _ in range(n)]

    def add(self, row: int, words: list[str]) -> None:
        numbers = self._vocabulary
        document = self._documents[row]
        document.extend(numbers.setdefault(word, len(numbers) + 1) for word in words)
        if self._most is not None and len(document) > 2 * self._most:
            del document[: -self._most]

    def index(self) -> WordIndex:
        most = slice(None) if self._most is None else slice(-self._most or None, None)
        return WordIndex.fit([document[most].tolist() for document in self._documents], self._vocabulary)


def _reviews(corpus: Artifact, item_ids: Ids) -> Iterator[tuple[list[int], list[str]]]:
    """Rows of the items and texts of the reviews, some at a time, in order of the corpus's files."""
    columns = [C.ITEM_ID, C.TITLE, C.TEXT]
    for batch in corpus.dataset("reviews").to_batches(columns=columns, batch_size=_ROWS, batch_readahead=1):
        rows = item_ids.rows_of(pa.chunked_array([batch[C.ITEM_ID]]))
        pairs = zip(batch[C.TITLE].to_pylist(), batch[C.TEXT].to_pylist(), strict=True)
        yield rows.tolist(), [review_text(title, text) for title, text in pairs]


def _vectors(storage: Storage, corpus: Artifact, embeddings: Artifact, item_ids: Ids) -> Floats32:
    """(n, dim) of the items' own texts; of an item without one the mean of its reviews'."""
    found, present = load_vectors(storage, embeddings, "item", list(item_ids))
    if present[1:].all():
        return found
    said = np.zeros_like(found)
    for _, rows, vectors in reviews_with_vectors(storage, corpus, embeddings, item_ids, ()):
        wanted = ~present[rows]
        np.add.at(said, rows[wanted], vectors[wanted])
    said[present] = found[present]
    return said
