"""What item-item models share: scores are the sum of the weights of what the user had as of the request."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from llmrec.models.base import Arrays, FitData, Floats, Ints, Requests, Retriever


class ItemWeights(Retriever):
    """`_weights` (n_items, n_items): from an item that was had to an item that is scored; sparse or dense."""

    _weights: Any

    def weights(self, data: FitData) -> Any:
        """(n_items − 1, n_items − 1), without the unknown item."""
        raise NotImplementedError

    def fit(self, data: FitData) -> None:
        found = self.weights(data)
        if sp.issparse(found):
            self._weights = sp.block_diag([sp.csr_matrix((1, 1)), found], format="csr", dtype=np.float32)
        else:
            self._weights = np.pad(found, ((1, 0), (1, 0)))

    def scores(self, requests: Requests) -> Floats:
        return summed_weights(requests.users, requests.histories, self._weights)

    def state(self) -> Arrays:
        if not sp.issparse(self._weights):
            return {"weights": self._weights}
        return {name: np.asarray(getattr(self._weights, name)) for name in ("data", "indices", "indptr")}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        n = data.data.n_items
        if "weights" in arrays:
            self._weights = arrays["weights"]
        else:
            self._weights = sp.csr_matrix(tuple(arrays[name] for name in ("data", "indices", "indptr")), shape=(n, n))


def summed_weights(users: Ints, histories: sp.csr_matrix, weights: Any) -> Floats:
    """(Q, n_items) `histories @ weights`, to the bit.

    An evaluation asks for the same users again and again as their histories grow. Where a history begins with the one
    that its user had in an earlier row, the sum goes on from there, in the same order of additions.
    """
    before = _continued(users, histories)
    first = np.flatnonzero(before < 0)
    heads = histories[first] @ weights
    found = np.empty((len(before), weights.shape[1]), np.float32)
    found[first] = heads.toarray() if sp.issparse(heads) else heads
    starts = histories.indptr
    for row in np.flatnonzero(before >= 0):
        earlier = before[row]
        found[row] = found[earlier]
        had = starts[earlier + 1] - starts[earlier]
        for item in histories.indices[starts[row] + had : starts[row + 1]]:
            _add(found[row], weights, item)
    return found


def _add(total: Floats, weights: Any, item: int) -> None:
    """The weights of one more item."""
    if not sp.issparse(weights):
        total += weights[item]
        return
    part = slice(weights.indptr[item], weights.indptr[item + 1])
    total[weights.indices[part]] += weights.data[part]


def _continued(users: Ints, histories: sp.csr_matrix) -> Ints:
    """(Q,) the last earlier row of the same user whose history each row's begins with; −1 where there is none."""
    before, last = np.full(len(users), -1), dict[int, int]()
    starts, items = histories.indptr, histories.indices
    for row, user in enumerate(np.asarray(users).tolist()):
        earlier = last.get(user)
        last[user] = row
        if earlier is None:
            continue
        had = items[starts[earlier] : starts[earlier + 1]]
        if np.array_equal(items[starts[row] : starts[row + 1]][: len(had)], had):
            before[row] = earlier
    return before
