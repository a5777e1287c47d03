"""The search index of a bundle, from its corpus, its embeddings and its History."""

import numpy as np

from llmrec.config import SearchConfig
from llmrec.encoding import load_vectors
from llmrec.features.arrays import Floats32
from llmrec.features.asof.ids import Ids
from llmrec.models.retrievers.words.item_words import Documents, reviews
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


def build_index(
    config: SearchConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, item_ids: Ids
) -> SearchIndex:
    """Index the items `item_ids` of a History by their own texts, by their reviews, and by vectors where there are."""
    items = corpus.table("items")
    texts = ItemTexts.of(items, item_ids.rows_of(items[C.ITEM_ID]), len(item_ids))
    own, said = Documents(len(item_ids)), Documents(len(item_ids), config.review_words)
    for row in range(1, len(item_ids)):
        for name, text in texts.fields(row).items():
            own.add(row, terms(text) * _COUNTS.get(name, 1))
    if config.review_words:
        for rows, spoken in reviews(corpus, item_ids):
            for row, text in zip(rows, spoken, strict=True):
                said.add(row, terms(text))
    vectors = None if embeddings is None else _vectors(storage, corpus, embeddings, item_ids)
    quotes = build_quotes(config.quotes, storage, corpus, embeddings, item_ids)
    return SearchIndex(
        texts,
        WordIndex.fit(own.whole()),
        WordIndex.fit(said.whole()),
        None if vectors is None else ItemVectors.of(vectors),
        quotes,
    )


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
