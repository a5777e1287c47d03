"""Diverse lists: by brute force, by hand, and as prefixes of each other."""

from itertools import combinations

import numpy as np
import pytest

from llmrec.diversity import Diversity, diversify, dpp


def items(n: int, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores, the highest first, and a kernel of cosines."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(n, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.sort(draw.normal(size=n))[::-1].astype(np.float32), (vectors @ vectors.T).astype(np.float32)


@pytest.mark.parametrize("method", ["mmr", "dpp"])
@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_a_longer_list_begins_with_the_shorter_and_holds_each_once(method: str, weight: float) -> None:
    scores, kernel = items(40, 5)
    whole = diversify(Diversity(method, weight), scores, kernel, 60)  # type: ignore[arg-type]
    assert sorted(whole) == list(range(40))
    for k in (0, 1, 7, 40):
        assert list(diversify(Diversity(method, weight), scores, kernel, k)) == list(whole[:k])  # type: ignore[arg-type]
    if weight == 0:
        assert list(whole) == list(range(40))


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_copies_come_last(method: str) -> None:
    kernel = np.kron(np.eye(3), np.ones((2, 2))).astype(np.float32)  # three pairs of copies
    scores = np.array([6, 5, 4, 3, 2, 1], np.float32)
    assert list(diversify(Diversity(method, 0.9), scores, kernel, 6))[:3] == [0, 2, 4]  # type: ignore[arg-type]


def test_mmr_by_hand() -> None:
    kernel = np.array([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]], np.float32)
    scores = np.array([2, 1, 0], np.float32)  # spread √⅔: gains after the first −.5·1.22 − .45 and −.5·2.45 − .05
    assert list(diversify(Diversity("mmr", 0.5), scores, kernel, 2)) == [0, 1]
    assert list(diversify(Diversity("mmr", 0.7), scores, kernel, 2)) == [0, 2]


@pytest.mark.parametrize("seed", range(5))
def test_each_step_of_dpp_is_the_best_by_determinants(seed: int) -> None:
    scores, kernel = items(9, 6, seed)
    weight = 0.6
    relevance, alpha = np.asarray(scores, np.float64), (1 - weight) / (2 * weight)
    quality = np.exp(alpha * relevance)
    whole = kernel.astype(np.float64) * np.outer(quality, quality)
    places = dpp(relevance, kernel.astype(np.float64), weight, 4)
    for k in range(4):
        sets = {n: np.linalg.slogdet(whole[np.ix_([*places[:k], n], [*places[:k], n])])[1]
                for n in set(range(9)) - set(places[:k].tolist())}  # fmt: skip
        assert max(sets, key=lambda n: sets[n]) == places[k]
    volumes = [np.linalg.det(kernel[np.ix_(s, s)]) for s in combinations(range(9), 4)]
    spread = dpp(np.zeros(9), kernel.astype(np.float64), 1, 4)
    assert np.linalg.det(kernel[np.ix_(spread, spread)]) > np.quantile(volumes, 0.9)
