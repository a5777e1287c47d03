"""Item-item sums that go on from an earlier row are those made from scratch, to the bit."""

import numpy as np
import pytest
import scipy.sparse as sp

from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.models.retrievers.item_weights import _continued, summed_weights

N_USERS, N_EVENTS = 6, 160


@pytest.fixture(scope="module")
def histories() -> tuple[np.ndarray, sp.csr_matrix]:
    """Users and what they had before each event, in order of time; some pairs come again, which reorders a history."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(N_USERS, size=N_EVENTS), rng.integers(30, size=N_EVENTS)
    data = Interactions.from_arrays([f"u{u}" for u in users], [f"i{i}" for i in items], np.arange(N_EVENTS))
    return data.user, AsOf(data).histories(data.user, data.time)


@pytest.mark.parametrize("sparse", [False, True])
def test_sums_that_go_on_are_the_same_to_the_bit(histories: tuple[np.ndarray, sp.csr_matrix], sparse: bool) -> None:
    users, had = histories
    dense = np.random.default_rng(1).normal(size=(had.shape[1], had.shape[1])).astype(np.float32)
    weights = sp.csr_matrix(np.where(np.abs(dense) > 1, dense, 0)) if sparse else dense
    whole = had @ weights
    found = summed_weights(users, had, weights)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, whole.toarray() if sparse else whole)


def test_a_sum_goes_on_where_the_history_does_and_nowhere_else(histories: tuple[np.ndarray, sp.csr_matrix]) -> None:
    users, had = histories
    before = _continued(users, had)
    for row, earlier in enumerate(before):
        mine = had.indices[had.indptr[row] : had.indptr[row + 1]].tolist()
        same_user = [r for r in range(row) if users[r] == users[row]]
        last = same_user[-1] if same_user else None
        theirs = None if last is None else had.indices[had.indptr[last] : had.indptr[last + 1]].tolist()
        goes_on = theirs is not None and mine[: len(theirs)] == theirs
        assert earlier == (last if goes_on else -1)
    assert 0 < (before < 0).sum() < len(before) and (np.bincount(before[before >= 0]) <= 1).all()
