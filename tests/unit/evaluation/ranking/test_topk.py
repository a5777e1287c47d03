"""Exact top-k: equal to a full sort, ties by hash, masks, bounded blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llmrec.evaluation.ranking.topk import TopK, blocked_top_k
from llmrec.models.topk import blocks, top_k
from llmrec.schema import id_hash, tie_hash


def full_sort(scores: np.ndarray, k: int, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """The definition: all items in the order of (−score, tie hash), −inf left out."""
    out = np.full((len(scores), k), -1)
    for q, row in enumerate(scores):
        order = sorted(range(len(row)), key=lambda i: (-row[i], int(tie_hash(users[q : q + 1], items[i : i + 1])[0])))
        kept = [i for i in order if row[i] > -np.inf][:k]
        out[q, : len(kept)] = kept
    return out


@settings(max_examples=80, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 300)),
               elements=st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]) | st.floats(-3, 3, width=32)),
    st.integers(1, 12),
)  # fmt: skip
def test_equals_a_full_sort_with_ties_and_masks(scores: np.ndarray, k: int) -> None:
    users = id_hash([f"u{i}" for i in range(scores.shape[0])])
    items = id_hash([f"i{i}" for i in range(scores.shape[1])])
    found = TopK(*top_k(scores, k, users, items))
    np.testing.assert_array_equal(found.item_rows, full_sort(scores, k, users, items))
    listed = found.item_rows >= 0
    rows = np.nonzero(listed)[0]
    np.testing.assert_array_equal(found.scores[listed], scores[rows, found.item_rows[listed]])


def test_constant_scores_rank_at_random_and_the_same_every_time() -> None:
    users, items = id_hash([f"u{i}" for i in range(2000)]), id_hash([f"i{i}" for i in range(40)])
    first = top_k(np.zeros((2000, 40), np.float32), 1, users, items)[0].ravel()
    again = top_k(np.zeros((2000, 40), np.float32), 1, users, items)[0].ravel()
    np.testing.assert_array_equal(first, again)
    counts = np.bincount(first, minlength=40)
    assert ((counts - 50) ** 2 / 50).sum() < 75  # chi-square with 39 degrees of freedom: p = .0005


def test_ties_do_not_follow_the_order_of_rows() -> None:
    items = [f"i{i}" for i in range(64)]
    users = id_hash(["ann"])
    plain = top_k(np.zeros((1, 64), np.float32), 5, users, id_hash(items))[0][0]
    turned = top_k(np.zeros((1, 64), np.float32), 5, users, id_hash(items[::-1]))[0][0]
    assert [items[i] for i in plain] == [items[::-1][i] for i in turned]


def test_nan_is_refused_wherever_it_stands() -> None:
    users, items = id_hash(["u"]), id_hash([f"i{i}" for i in range(200)])
    for column in (0, 199):
        scores = np.zeros((1, 200), np.float32)
        scores[0, column] = np.nan
        with pytest.raises(ValueError, match="scores hold NaN"):
            top_k(scores, 3, users, items)


def test_blocks_cover_all_rows_once_and_give_the_same_lists() -> None:
    assert [(b.start, b.stop) for b in blocks(7, 100, 250)] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((500, 20_000)).astype(np.float32)
    users, items = id_hash([f"u{i}" for i in range(500)]), id_hash([f"i{i}" for i in range(20_000)])
    parts = blocked_top_k(lambda rows: scores[rows], 500, 20, users, items)
    whole = TopK(*top_k(scores, 20, users, items))
    np.testing.assert_array_equal(parts.item_rows, whole.item_rows)
