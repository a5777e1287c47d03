"""Retrieval by the two-tower model as of any time: item vectors by the day, exact search, nothing seen twice."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, Protocol, TypeVar

import faiss
import numpy as np
import numpy.typing as npt
import torch

from llmrec.features.asof.history import History
from llmrec.features.asof.state import UserState
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureSelection
from llmrec.models.topk import top_k
from llmrec.models.two_tower import TwoTower
from llmrec.schema import DAY_MS, id_hash

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

#: Memory for the item features and vectors of past days, in bytes.
CACHE_BYTES = 256 << 20


class ItemIndex:
    """Item vectors of one moment, searched exactly or by an HNSW graph (Malkov & Yashunin, 2018) from faiss."""

    LINKS = 32

    def __init__(self, vectors: Floats, approximate: bool = False) -> None:
        self.vectors, self.nbytes = vectors, vectors.nbytes
        self._graph = None
        if approximate:
            self._graph = faiss.IndexHNSWFlat(vectors.shape[1], self.LINKS, faiss.METRIC_INNER_PRODUCT)
            self._graph.add(vectors)

    def scores(self, queries: Floats, allowed: Bools, k: int) -> Floats:
        """(Q, n) dot products; -inf for what is not allowed (Q, n) or, by the graph, not among the k found."""
        if self._graph is None:
            return np.where(allowed, queries @ self.vectors.T, np.float32(-np.inf))
        scores = np.full(allowed.shape, -np.inf, np.float32)
        for q in range(len(queries)):
            bits = np.packbits(allowed[q], bitorder="little")
            keep = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # faiss wraps it for Python
            options = faiss.SearchParametersHNSW(efSearch=max(2 * k, 64), sel=keep)  # type: ignore[attr-defined]
            found, rows = self._graph.search(queries[q : q + 1], k, params=options)
            scores[q, rows[0][rows[0] >= 0]] = found[0][rows[0] >= 0]
        return scores


class Sized(Protocol):
    """Something that says how much memory it takes."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Snapshots(Generic[T]):
    """The latest values of a function of time, the least recently used going first. Safe among threads."""

    def __init__(self, make: Callable[[int], T], budget: int = CACHE_BYTES) -> None:
        self._make, self._budget, self._lock = make, budget, Lock()
        self._held: OrderedDict[int, T] = OrderedDict()

    def at(self, time: int) -> T:
        with self._lock:
            if time not in self._held:
                self._held[time] = self._make(time)
                while len(self._held) > max(1, self._budget // max(self._held[time].nbytes, 1)):
                    self._held.popitem(last=False)
            self._held.move_to_end(time)
            return self._held[time]

    def clear(self) -> None:
        with self._lock:
            self._held.clear()


class Retriever:
    """The k items with the highest two-tower score for each user at a time.

    Item vectors are made once per `refresh_ms`, from the events before that moment; who is a candidate is decided at
    the query's own time. `approximate_above`: catalogues larger than this are searched by an HNSW graph (faiss),
    others, and all where it is None, exactly.
    """

    def __init__(
        self,
        model: TwoTower,
        spec: FeatureSpec,
        history: History,
        selection: FeatureSelection,
        refresh_ms: int = DAY_MS,
        approximate_above: int | None = None,
    ) -> None:
        self.model, self.spec, self.history, self.selection = model, spec, history, selection
        self.refresh_ms, self.approximate_above = refresh_ms, approximate_above
        self.item_hash = id_hash(history.item_ids)
        self._rows = np.arange(len(history.item_ids), dtype=np.int64)
        self._features = Snapshots(self._make_features)
        self._index = Snapshots(self._make_index)

    def refit(self) -> None:
        """Forget item vectors: call it when the model's weights have changed. Features are kept."""
        self._index.clear()

    def item_index(self, time: int) -> ItemIndex:
        """Vectors (n_items + 1, vector_dim) as of the last refresh at or before `time`."""
        return self._index.at(int(time) // self.refresh_ms * self.refresh_ms)

    @torch.inference_mode()
    def user_vectors(self, users: UserState) -> Floats:
        """(Q, vector_dim)."""
        self.model.eval()
        features = self.spec.user_features(users)[:, self.selection.user]
        vectors = self.model.user_vectors(
            torch.as_tensor(self.spec.user_idx(users.rows)).long(),
            torch.as_tensor(self.spec.history_idx(users)).long(),
            torch.as_tensor(self.spec.history_ages(users)),
            torch.as_tensor(features),
        )
        return np.asarray(vectors.numpy(), np.float32)

    def candidates(self, users: UserState, times: Ints, exclude: Sequence[Ints] | None = None) -> Bools:
        """(Q, n_items + 1): known before the query's time and not had before it, nor in the state's own history.

        `exclude`: further rows for each query. Row 0 is never a candidate.
        """
        allowed = np.empty((len(times), len(self._rows)), np.bool_)
        for time in np.unique(times):
            allowed[times == time] = self.history.known_items(int(time))
        for q, (row, time) in enumerate(zip(users.rows, times, strict=True)):
            allowed[q, self.history.seen(int(row), int(time))] = False
            allowed[q, users.history[q]] = False
            if exclude is not None:
                allowed[q, exclude[q]] = False
        allowed[:, 0] = False
        return allowed

    def retrieve(
        self, users: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None = None
    ) -> tuple[Ints, Floats]:
        """Rows (Q, k), best first, padded with -1, and scores (Q, k), padded with -inf."""
        rows = np.full((len(times), k), -1, np.int64)
        scores = np.full((len(times), k), -np.inf, np.float32)
        vectors, moments = self.user_vectors(users), times // self.refresh_ms
        for moment in np.unique(moments):
            part = np.flatnonzero(moments == moment)
            index = self.item_index(int(moment) * self.refresh_ms)
            few = users.take(part)
            allowed = self.candidates(few, times[part], None if exclude is None else [exclude[q] for q in part])
            found = index.scores(vectors[part], allowed, k)
            hashes = id_hash([self.history.user_ids[r] for r in few.rows])
            rows[part], scores[part] = top_k(found, k, hashes, self.item_hash)
        return rows, scores

    def _make_features(self, moment: int) -> Floats:
        states = self.history.items_at(self._rows, np.full(len(self._rows), moment, np.int64))
        return np.asarray(self.spec.item_features(states)[:, self.selection.item], np.float32)

    @torch.inference_mode()
    def _make_index(self, moment: int) -> ItemIndex:
        self.model.eval()
        features = torch.as_tensor(self._features.at(moment))
        idx = torch.as_tensor(self.spec.item_idx(self._rows)).long()
        vectors = np.asarray(self.model.item_vectors(idx, features).numpy(), np.float32)
        above = self.approximate_above
        return ItemIndex(vectors, approximate=above is not None and len(vectors) > above)
