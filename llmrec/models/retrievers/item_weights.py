"""What item-item models share: scores are the sum of the weights of what the user had as of the request."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from llmrec.models.base import Arrays, FitData, Floats, Requests, Retriever


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
        found = requests.histories @ self._weights
        return np.asarray(found.toarray() if sp.issparse(found) else found, np.float32)

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
