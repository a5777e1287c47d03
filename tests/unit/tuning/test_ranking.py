"""Ranking by text alone, against figures made by hand."""

import numpy as np
import pytest
from factories.tuning import texts_of

from llmrec.tuning.ranking import ndcg, text_queries

ROWS = [(0, 0, 1, 5.0), (0, 1, 2, 1.0), (1, 1, 2, 5.0), (0, 2, 3, 5.0), (1, 2, 3, 5.0), (2, 3, 4, 5.0), (0, 3, 5, 5.0)]


def test_a_query_knows_what_lies_strictly_before_it() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=3, n=10, seed=7)
    asked = sorted(
        (int(t), h.tolist(), sorted(had.tolist()))
        for t, h, had in zip(queries.target, queries.history, queries.had, strict=True)
    )
    assert asked == [(2, [0], [0, 1]), (2, [2], [1]), (3, [0, 3], [0, 1, 2])]
    assert queries.candidates.tolist() == [0, 1, 2, 3] and queries.reviews.tolist() == [0, 2, 3]
    assert len(text_queries(texts_of(ROWS, 4), first=3, n=2, seed=7)) == 2


def test_new_items_alone() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=5, n=10, seed=7, new=True)
    assert (queries.candidates.tolist(), queries.target.tolist(), queries.user.tolist()) == ([3], [3], [0])


def test_ndcg_by_hand() -> None:
    """The user of reviews 0 and 3 looks between them; item 0, which would be first, was had."""
    queries = text_queries(texts_of(ROWS, 4), first=6, n=10, seed=7)
    reviews = np.array([[1.0, 0.0], [0.0, 1.0]])
    items = np.array([[0.7, 0.7], [0.0, 1.0], [1.0, 0.1], [0.6, 0.6]])
    assert ndcg(reviews, items, queries).tolist() == [1.0]
    items[3] = [0.2, 0.2]
    assert ndcg(reviews, items, queries)[0] == 1.0  # items 0, 1 and 2 were had, and are not asked
    assert [h.tolist() for h in queries.had] == [[0, 1, 2]]


def test_ties_count_against_the_target() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=4, n=1, seed=7)
    found = ndcg(np.ones((len(queries.reviews), 2)), np.ones((4, 2)), queries)
    others = 4 - len(np.unique(queries.had[0]))
    assert found[0] == pytest.approx(1 / np.log2(1 + others))
