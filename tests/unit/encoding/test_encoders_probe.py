"""The probe of `benchmarks.encoders` reads what was written before, never the review, and finds a planted taste."""

import numpy as np
from factories.tuning import texts_of

from benchmarks.probe import past_words, predict, ridge

ROWS = [(0, 0, 1, 5.0), (1, 0, 2, 1.0), (0, 1, 2, 5.0), (0, 1, 3, 4.0), (1, 1, 3, 2.0)]


def test_a_review_is_told_by_the_words_strictly_before_it() -> None:
    texts = texts_of(ROWS, 2)
    vectors = np.arange(1.0, 15.0, dtype=np.float32).reshape(7, 2)
    features = past_words(texts, vectors)
    user, own, item = features[:, :2], features[:, 2:4], features[:, 4:6]
    assert user.tolist() == [[0, 0], [0, 0], [1, 2], [3, 4], [3, 4]]  # reviews 0 and 2 of user 0; 1 of user 1
    assert own.tolist() == vectors[[5, 5, 6, 6, 6]].tolist()
    assert item.tolist() == [[0, 0], [1, 2], [0, 0], [5, 6], [5, 6]]
    np.testing.assert_array_equal(features[:, 6:], np.concatenate([user * own, user * item], axis=1))


def test_ridge_by_hand() -> None:
    """One column of spread 1: the slope is Σzy / (n + strength · n)."""
    x = np.array([[1.0], [-1.0], [1.0], [-1.0]], np.float32)
    tried = ridge(x, np.array([4.0, 2.0, 4.0, 2.0]), np.array([[1.0]], np.float32))
    np.testing.assert_allclose([guess[0] for guess in tried], [3 + 1 / (1 + s) for s in (0.03, 0.3, 3, 30)], rtol=1e-4)


def test_a_taste_that_words_tell_is_found_and_a_shuffled_one_is_not() -> None:
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(40, 4)), rng.normal(size=(30, 4))
    pairs = [(int(u), int(i)) for u, i in zip(rng.integers(0, 40, 1200), rng.integers(0, 30, 1200), strict=True)]
    stars = [3 + 2 * np.tanh(taste[u] @ kind[i]) for u, i in pairs]
    texts = texts_of([(u, i, t, s) for t, ((u, i), s) in enumerate(zip(pairs, stars, strict=True))], 30)
    vectors = np.concatenate([taste[[u for u, _ in pairs]], kind]).astype(np.float32)
    found = predict(texts, vectors, first=900)
    assert found.rows.tolist() == list(range(900, 1200))
    spread = texts.stars[900:].std()
    assert np.sqrt(np.mean((found.stars - texts.stars[900:]) ** 2)) < 0.7 * spread
    dealt = predict(texts, vectors[rng.permutation(len(vectors))], first=900)
    assert np.sqrt(np.mean((dealt.stars - texts.stars[900:]) ** 2)) > 0.95 * spread
