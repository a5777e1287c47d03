"""Retrieval by the dot product of a user's vector and items' vectors as of any time."""

import threading
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Arrays, Bools, FitData, Floats, Ints, ModelContext, Requests, Retriever
from llmrec.models.by_moment import by_moment, cached
from llmrec.models.networks.weights import from_arrays, to_arrays
from llmrec.models.retrievers.nearest.item_index import ItemIndex
from llmrec.models.topk import top_rows
from llmrec.schema import DAY_MS

#: Users whose vectors tell how many nodes of a graph are to be looked at.
_ASKED = 256


class NearestRetriever(Retriever):
    """The items whose vectors have the highest dot product with the user's, by a network `net`.

    A user's vector is (unit / temperature, 1), an item's (unit, bias). Item vectors are made once per `refresh_ms`,
    from the events before that moment; who is a candidate is decided at the request's own time. Catalogues as
    large as `approximate` says are searched by an HNSW graph (faiss), others, and all where it is None, exactly.
    """

    context: ModelContext
    net: nn.Module
    grows = True

    def __init__(self, config: Any, context: ModelContext | None = None, refresh_ms: int = DAY_MS) -> None:
        super().__init__(config, context)
        assert context is not None
        self.refresh_ms = refresh_ms
        self.rows = np.arange(len(context.history.item_ids), dtype=np.int64)
        self.item_index = cached(self._make_index)
        self._linking = threading.Lock()

    @abstractmethod
    def user_vectors(self, requests: Requests) -> Floats:
        """(Q, vector_dim)."""

    @abstractmethod
    def item_vectors(self, time: int, rows: Ints | None = None) -> Floats:
        """(n, vector_dim) of the items `rows` by the events before `time`; of all, where left out."""

    def describe(self, rows: Ints) -> None:
        """Other things are known of items now, or they joined the history: their vectors are made anew."""
        self.rows = np.arange(len(self.context.history.item_ids), dtype=np.int64)
        for (moment,), index in list(self.item_index.cache.items()):  # type: ignore[attr-defined]
            index.put(rows, self._vectors(moment, rows))

    def refit(self) -> None:
        """Forget item vectors: call it when the net's weights have changed."""
        self.item_index.cache.clear()  # type: ignore[attr-defined]

    def scores(self, requests: Requests) -> Floats:
        everything = np.ones((len(requests), len(self.rows)), np.bool_)
        return self.retrieve_scores(requests, everything)

    def retrieve_scores(self, requests: Requests, allowed: Bools) -> Floats:
        scores = np.empty(allowed.shape, np.float32)
        vectors = self.user_vectors(requests)
        for moment, part in by_moment(requests.times // self.refresh_ms):
            scores[part] = self._index(moment).scores(vectors[part], allowed[part])
        return scores

    def search(self, requests: Requests, among: ItemSet, barred: Sequence[Ints], k: int) -> tuple[Ints, Floats] | None:
        if not self._by_graph:
            return None
        rows, scores = np.full((len(requests), k), -1), np.full((len(requests), k), -np.inf, np.float32)
        vectors, data = self.user_vectors(requests), requests.as_of.data
        for moment, part in by_moment(requests.times // self.refresh_ms):
            found = self._index(moment).nearest(vectors[part], among, [barred[q] for q in part], k)
            rows[part], scores[part] = top_rows(*found, k, data.user_hash[requests.users[part]], data.item_hash)
        return rows, scores

    def scores_of(self, requests: Requests, rows: Ints) -> Floats:
        scores, vectors = np.empty(rows.shape, np.float32), self.user_vectors(requests)
        for moment, part in by_moment(requests.times // self.refresh_ms):
            scores[part] = self._index(moment).of(vectors[part], rows[part])
        return scores

    def vectors_at(self, time: int) -> Floats:
        """(n_items, vector_dim) as of the last refresh at or before `time`; the last number is the bias."""
        return self._index(int(time) // self.refresh_ms).vectors

    def state(self) -> Arrays:
        return to_arrays(self.net)

    def restore(self, arrays: Arrays, data: FitData) -> None:
        from_arrays(self.net, arrays)
        self.refit()

    def _index(self, moment: int) -> ItemIndex:
        """The index of a moment, with a graph where `approximate` says so now."""
        index = self.item_index(moment)
        if self.approximate is not None and self._by_graph:
            with self._linking:
                if not index.linked:
                    index.link(self.approximate, self._queries(moment))
        return index

    @property
    def _by_graph(self) -> bool:
        return self.approximate is not None and len(self.rows) > self.approximate.above

    def _make_index(self, moment: int) -> ItemIndex:
        return ItemIndex(self._vectors(moment))

    def _queries(self, moment: int) -> Floats:
        """(S, vector_dim) vectors of users spread over all of them."""
        users = np.unique(np.linspace(1, len(self.context.history.user_ids) - 1, _ASKED).astype(np.int64))
        times = np.full(len(users), moment * self.refresh_ms)
        states = self.context.history.users_at(users, times)
        return self.user_vectors(Requests(users, times, self.context.as_of, states))

    @torch.inference_mode()
    def _vectors(self, moment: int, rows: Ints | None = None) -> Floats:
        self.net.eval()
        return self.item_vectors(moment * self.refresh_ms, rows)
