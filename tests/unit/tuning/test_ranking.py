"""Ranking by text alone, against figures made by hand."""

import numpy as np
import pytest
from factories.tuning import texts_of

from llmrec.tuning.ranking import TextQueries, ndcg_at, ranks_of, text_queries, text_scores

ROWS = [(0, 0, 1, 5.0), (0, 1, 2, 1.0), (1, 1, 2, 5.0), (0, 2, 3, 5.0), (1, 2, 3, 5.0), (2, 3, 4, 5.0), (0, 3, 5, 5.0)]


def test_a_query_knows_what_lies_strictly_before_it() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=3, n=10, seed=7)
    asked = sorted(
        (int(t), h.tolist(), sorted(had.tolist()))
        for t, h, had in zip(queries.target, queries.history, queries.had, strict=True)
    )
    assert asked == [(2, [0], [0, 1]), (2, [2], [1]), (3, [0, 3], [0, 1, 2])]
    assert queries.candidates.tolist() == [0, 1, 2, 3] and queries.rows.tolist() == [0, 2, 3, 7, 8, 9, 10]
    assert len(text_queries(texts_of(ROWS, 4), first=3, n=2, seed=7)) == 2


def test_nobody_asked_is_no_error() -> None:
    queries = text_queries(texts_of(ROWS[:2], 4), first=2, n=10, seed=7)
    assert ranks_of(text_scores(np.zeros((len(queries.rows), 2)), queries), queries).shape == (0,)


def test_new_items_alone() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=5, n=10, seed=7, new=True)
    assert (queries.candidates.tolist(), queries.target.tolist(), queries.user.tolist()) == ([3], [3], [0])


def test_an_item_without_a_text_is_its_latest_reviews_before() -> None:
    texts = texts_of(ROWS, 4)
    texts.texts[len(ROWS) + 1] = texts.texts[len(ROWS) + 2] = texts.texts[4] = ""
    queries = text_queries(texts, first=6, n=10, seed=7, history=2)
    told = dict(zip(queries.candidates.tolist(), (rows.tolist() for rows in queries.told), strict=True))
    assert told == {0: [7], 1: [1, 2], 2: [3], 3: [10]}  # review 4, of item 2, has no words
    assert text_queries(texts, first=1, n=10, seed=7).candidates.tolist() == [0, 3]  # nothing is known of 1 and 2
    vectors = np.zeros((len(queries.rows), 2))
    vectors[np.searchsorted(queries.rows, [1, 2])] = [[0.0, 1.0], [0.8, 0.6]]
    vectors[np.searchsorted(queries.rows, queries.history[0])] += [1.0, 0.0]
    assert text_scores(vectors, queries)[0, 1] == pytest.approx(0.4 / np.hypot(0.4, 0.8))


def ranked(queries: TextQueries, scores: list[float]) -> float:
    return float(ndcg_at(ranks_of(np.array([scores]), queries))[0])


def test_ndcg_by_hand() -> None:
    queries = text_queries(texts_of([*ROWS, (3, 0, 5, 5.0), (3, 3, 6, 5.0)], 4), first=8, n=10, seed=7)
    assert (queries.target.tolist(), queries.had[0].tolist()) == ([3], [0])
    assert ranked(queries, [9.0, 0.1, 0.2, 0.3]) == 1.0  # item 0, which would be first, was had
    assert ranked(queries, [9.0, 0.4, 0.2, 0.3]) == pytest.approx(1 / np.log2(3))
    assert ndcg_at(ranks_of(np.array([[0.0, 0.4, 0.5, 0.3]]), queries), k=2).tolist() == [0.0]


def test_ties_count_against_the_target() -> None:
    queries = text_queries(texts_of(ROWS, 4), first=4, n=1, seed=7)
    others = 4 - len(np.unique(queries.had[0]))
    assert ranked(queries, [1.0] * 4) == pytest.approx(1 / np.log2(1 + others))
