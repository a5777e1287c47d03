"""Ranking metrics: fractions worked out by hand, properties, and a second implementation written query by query."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.models import metrics
from llmrec.models.metrics import RANKING

LISTS = np.array([[4, 2, 0, 7], [1, 3, -1, -1], [5, 6, 8, 9]])
INDPTR = np.array([0, 3, 4, 5])
ITEMS = np.array([0, 4, 9, 3, 2])


def test_hits_are_the_relevant_items_and_padding_never_is() -> None:
    found = metrics.hits(LISTS, INDPTR, ITEMS, 10)
    assert found.tolist() == [[True, False, True, False], [False, True, False, False], [False] * 4]


def test_the_last_item_of_one_query_is_not_the_padding_of_the_next() -> None:
    found = metrics.hits(np.array([[0, -1], [-1, -1]]), np.array([0, 1, 2]), np.array([9, 9]), 10)
    assert not found.any()


@pytest.mark.parametrize(
    ("metric", "by_query"),
    [
        ("hit_rate@2", (1, 1, 0)),
        ("recall@2", (1 / 3, 1, 0)),
        ("recall_min@2", (1 / 2, 1, 0)),
        ("precision@2", (1 / 2, 1 / 2, 0)),
        ("ndcg@2", (1 / (1 + 1 / math.log2(3)), (1 / math.log2(3)) / 1, 0)),
        ("mrr@2", (1, 1 / 2, 0)),
        ("map@2", (1 / 2, 1 / 2, 0)),
        ("recall@4", (2 / 3, 1, 0)),
        ("recall_min@4", (2 / 3, 1, 0)),
        ("precision@4", (2 / 4, 1 / 4, 0)),
        ("ndcg@4", ((1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2), 1 / math.log2(3), 0)),
        ("map@4", ((1 + 2 / 3) / 3, 1 / 2, 0)),
    ],
)
def test_hand_computed_fractions(metric: str, by_query: tuple[float, ...]) -> None:
    hit = metrics.hits(LISTS, INDPTR, ITEMS, 10)
    found = metrics.ranking(hit, np.diff(INDPTR), [2, 4])[metric]
    np.testing.assert_allclose(found, by_query, rtol=1e-12)


def one_by_one(listed: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """The definitions again, for one query, without arrays."""
    h = [1 if i in relevant else 0 for i in listed[:k]]
    n, m = len(relevant), min(k, len(relevant))
    ideal = sum(1 / math.log2(r + 2) for r in range(m))
    first = next((r for r, x in enumerate(h) if x), None)
    return {
        "hit_rate": float(any(h)),
        "recall": sum(h) / n,
        "recall_min": sum(h) / m,
        "precision": sum(h) / k,
        "ndcg": sum(x / math.log2(r + 2) for r, x in enumerate(h)) / ideal,
        "mrr": 0.0 if first is None else 1 / (first + 1),
        "log_rank": 0.0 if first is None else 1 - math.log(first + 1, k + 1),
        "map": sum(x * sum(h[: r + 1]) / (r + 1) for r, x in enumerate(h)) / m,
    }


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, list[set[int]]]:
    n_items, k = draw(st.integers(2, 30)), draw(st.integers(1, 12))
    lists, truths = [], []
    for _ in range(draw(st.integers(1, 6))):
        order = draw(st.permutations(range(n_items)))
        length = draw(st.integers(0, min(k, n_items)))
        lists.append(list(order[:length]) + [-1] * (k - length))
        truths.append(draw(st.sets(st.integers(0, n_items - 1), min_size=1)))
    return np.array(lists), truths


def to_csr(truths: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    indptr = np.cumsum([0] + [len(t) for t in truths])
    return indptr, np.array([i for t in truths for i in t])


@settings(max_examples=150, deadline=None)
@given(answers())
def test_agrees_with_the_definitions_and_stays_in_the_unit_interval(case: tuple[np.ndarray, list[set[int]]]) -> None:
    lists, truths = case
    indptr, items = to_csr(truths)
    cutoffs = sorted({1, lists.shape[1]})
    found = metrics.ranking(metrics.hits(lists, indptr, items, 30), np.diff(indptr), cutoffs)
    for k in cutoffs:
        expected = [one_by_one(row.tolist(), t, k) for row, t in zip(lists, truths, strict=True)]
        for name in RANKING:
            values = found[f"{name}@{k}"]
            np.testing.assert_allclose(values, [e[name] for e in expected], atol=1e-12)
            assert values.min() >= 0 and values.max() <= 1 + 1e-12
        assert (found[f"recall_min@{k}"] >= found[f"recall@{k}"]).all()


@settings(max_examples=60, deadline=None)
@given(answers())
def test_moving_hits_up_never_hurts_and_below_k_nothing_counts(case: tuple[np.ndarray, list[set[int]]]) -> None:
    lists, truths = case
    indptr, items = to_csr(truths)
    hit = metrics.hits(lists, indptr, items, 30)
    best = np.sort(hit, axis=1)[:, ::-1]
    k = max(1, lists.shape[1] // 2)
    before = metrics.ranking(hit, np.diff(indptr), [lists.shape[1], k])
    after = metrics.ranking(best, np.diff(indptr), [lists.shape[1], k])
    assert all((after[m] >= before[m] - 1e-12).all() for m in before)
    tail = hit.copy()
    tail[:, k:] = ~tail[:, k:]
    unchanged = metrics.ranking(tail, np.diff(indptr), [k])
    assert all((unchanged[m] == before[m]).all() for m in unchanged)


def test_perfect_lists_score_one() -> None:
    hit = metrics.hits(np.array([[1, 2, 3]]), np.array([0, 3]), np.array([3, 1, 2]), 5)
    found = metrics.ranking(hit, np.array([3]), [3])
    assert {m: v.item() for m, v in found.items()} == {f"{n}@3": pytest.approx(1) for n in RANKING}


def test_refuses_a_query_without_truth_and_short_lists() -> None:
    hit = np.zeros((1, 3), bool)
    with pytest.raises(ValueError, match="without a relevant item"):
        metrics.ranking(hit, np.array([0]), [3])
    with pytest.raises(ValueError, match="need lists of 10 items, found 3"):
        metrics.ranking(hit, np.array([1]), [10])


def test_parse_names_what_is_allowed() -> None:
    assert metrics.parse("ndcg@10") == ("ndcg", 10)
    with pytest.raises(ValueError, match=r"found 'ndgc@10', expected NAME@K .*recall"):
        metrics.parse("ndgc@10")


def test_coverage_and_gini_by_hand() -> None:
    count = metrics.listed(np.array([[0, 1], [0, -1], [0, 1]]), 5)
    assert count.tolist() == [3, 2, 0, 0, 0]
    assert metrics.coverage(count, 4) == 2 / 4
    # counts 0, 0, 2, 3: sum over pairs |x_i - x_j| / (2 n² mean) = 22 / (2 * 16 * 1.25)
    assert metrics.gini(count, 4) == pytest.approx(22 / (2 * 16 * 1.25))
    assert metrics.gini(np.ones(4, np.int64), 4) == 0


def test_novelty_by_hand() -> None:
    popularity = np.array([0, 3, 1, 0])  # no item, then three: (count + 1) / 7
    found = metrics.novelty(np.array([[1, 2], [3, -1]]), popularity)
    np.testing.assert_allclose(found, [(math.log2(7 / 4) + math.log2(7 / 2)) / 2, math.log2(7)])


def test_diversity_by_text_equals_all_pairs() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((12, 5)).astype(np.float32)
    vectors[3] = 0  # no text
    lists = np.array([[0, 1, 2, 3], [4, 5, -1, -1], [3, 6, -1, -1]])
    found = metrics.diversity_text(lists, vectors)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    expected = [np.mean([1 - unit[a] @ unit[b] for a, b in ((0, 1), (0, 2), (1, 2))]), 1 - unit[4] @ unit[5]]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-5)
    assert np.isnan(found[2])


def test_diversity_by_cooccurrence_equals_all_pairs() -> None:
    X = sp.csc_matrix(np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]], np.float32))
    found = metrics.diversity_cooccurrence(np.array([[0, 1, 2], [0, 2, -1], [0, 3, -1]]), X)
    cosine = {(0, 1): 2 / math.sqrt(2 * 3), (0, 2): 0.0, (1, 2): 1 / math.sqrt(3 * 1)}
    np.testing.assert_allclose(found[:2], [1 - sum(cosine.values()) / 3, 1.0])
    assert np.isnan(found[2])


def test_recall_curve_is_recall_at_every_cutoff() -> None:
    hit = metrics.hits(LISTS, INDPTR, ITEMS, 10)
    curve = metrics.recall_curve(hit, np.diff(INDPTR), (1, 3, 4))
    expected = [metrics.ranking(hit, np.diff(INDPTR), [k])[f"recall@{k}"] for k in (1, 3, 4)]
    np.testing.assert_allclose(curve.T, expected)
