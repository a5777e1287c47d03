"""Mean and quantiles of shares that come in batches, against numpy on all of them at once."""

import numpy as np
import pytest

from llmrec.evaluation.ablation.family_weights import Shares


def shares_of(values: np.ndarray, size: int) -> Shares:
    shares = Shares(values.shape[1])
    for start in range(0, len(values), size):
        shares.add(values[start : start + size])
    return shares


@pytest.mark.parametrize("n", [1, 19, 20, 1000])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_mean_and_quantiles_are_those_of_all_rows(n: int, size: int) -> None:
    values = np.random.default_rng(n).dirichlet([0.3, 1, 4], n).astype(np.float32)
    shares = shares_of(values, size)
    assert shares.n == n
    np.testing.assert_allclose(shares.mean(), values.mean(axis=0, dtype=np.float64), atol=1e-12)
    for q in (0.05, 0.5, 0.95):
        expected = np.quantile(values, q, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(shares.quantile(q), expected, atol=1e-5)


def test_what_is_equal_in_all_rows_comes_back_as_it_was() -> None:
    row = np.array([0, 1 / 3, 0.1, 1], np.float32)
    shares = shares_of(np.tile(row, (50, 1)), 8)
    assert (shares.quantile(0.05) == row).all() and (shares.quantile(0.95) == row).all()


def test_memory_does_not_grow_with_rows() -> None:
    def held(n: int) -> int:
        return sum(
            v.nbytes for v in vars(shares_of(np.full((n, 3), 0.5, np.float32), 100)).values() if hasattr(v, "nbytes")
        )

    assert held(100) == held(10_000)
