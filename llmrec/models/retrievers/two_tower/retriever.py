"""Retrieval by two towers as of any time: item vectors by the day, exact or approximate search."""

import numpy as np
import torch

from llmrec.models.base import Arrays, Bools, FitData, Floats, Ints, ModelContext, ModelInfo, Requests, Retriever
from llmrec.models.by_moment import by_moment, cached
from llmrec.models.networks.fit_task import FitTask
from llmrec.models.networks.process_group import ProcessGroup
from llmrec.models.networks.weights import from_arrays, to_arrays
from llmrec.models.retrievers.two_tower.item_index import ItemIndex
from llmrec.models.retrievers.two_tower.net import TwoTower, TwoTowerConfig
from llmrec.schema import DAY_MS
from llmrec.storage import Artifact


class TwoTowerRetriever(Retriever):
    """The items whose vectors have the highest dot product with the user's.

    Item vectors are made once per `refresh_ms`, from the events before that moment; who is a candidate is decided at
    the request's own time. `approximate_above`: catalogues larger than this are searched by an HNSW graph (faiss),
    others, and all where it is None, exactly.
    """

    Config = TwoTowerConfig
    INFO = ModelInfo(
        "Two-tower", "cosine of a user tower and an item tower over fused features, plus an item bias", "features",
        "Yi et al., RecSys 2019", needs_clock=True, answers_all=True,
    )  # fmt: skip
    context: ModelContext

    def __init__(self, config: TwoTowerConfig, context: ModelContext | None = None, refresh_ms: int = DAY_MS) -> None:
        super().__init__(config, context)
        assert context is not None
        self.net = TwoTower.of(config, context)
        self.refresh_ms = refresh_ms
        self._rows = np.arange(len(context.history.item_ids), dtype=np.int64)
        self._features = cached(self._make_features)
        self.item_index = cached(lambda key: self._make_index(*divmod(key, 2)))

    def fit_task(self, examples: Artifact, group: ProcessGroup, validate: bool) -> FitTask:
        from llmrec.models.retrievers.two_tower.epochs import TowerTask

        return TowerTask(self, examples, group, validate)

    def refit(self) -> None:
        """Forget item vectors: call it when the net's weights have changed. Features are kept."""
        self.item_index.cache.clear()  # type: ignore[attr-defined]

    def scores(self, requests: Requests) -> Floats:
        everything = np.ones((len(requests), len(self._rows)), np.bool_)
        return self.retrieve_scores(requests, everything, len(self._rows))

    def retrieve_scores(self, requests: Requests, allowed: Bools, k: int) -> Floats:
        scores = np.empty(allowed.shape, np.float32)
        vectors = self.user_vectors(requests)
        for moment, part in by_moment(requests.times // self.refresh_ms):
            scores[part] = self._index(moment).scores(vectors[part], allowed[part], k)
        return scores

    def scores_of(self, requests: Requests, rows: Ints) -> Floats:
        scores, vectors = np.empty(rows.shape, np.float32), self.user_vectors(requests)
        for moment, part in by_moment(requests.times // self.refresh_ms):
            scores[part] = self._index(moment).of(vectors[part], rows[part])
        return scores

    @torch.inference_mode()
    def user_vectors(self, requests: Requests) -> Floats:
        """(Q, vector_dim)."""
        assert requests.states is not None
        self.net.eval()
        users, spec = requests.states, self.context.spec
        vectors = self.net.user_vectors(
            torch.as_tensor(spec.user_idx(users.rows)).long(),
            torch.as_tensor(spec.history_idx(users)).long(),
            torch.as_tensor(spec.history_ages(users)),
            torch.as_tensor(spec.user_features(users)[:, self.context.selection.user]),
        )
        return np.asarray(vectors.numpy(), np.float32)

    def vectors_at(self, time: int) -> Floats:
        """(n_items, vector_dim) as of the last refresh at or before `time`; the last number is the bias."""
        return self._index(int(time) // self.refresh_ms).vectors

    def state(self) -> Arrays:
        return to_arrays(self.net)

    def restore(self, arrays: Arrays, data: FitData) -> None:
        from_arrays(self.net, arrays)
        self.refit()

    def _make_features(self, moment: int) -> Floats:
        at = np.full(len(self._rows), moment * self.refresh_ms, np.int64)
        states = self.context.history.items_at(self._rows, at)
        return np.asarray(self.context.spec.item_features(states)[:, self.context.selection.item], np.float32)

    def _index(self, moment: int) -> ItemIndex:
        """The index of a moment, searched as `approximate_above` says now."""
        above = self.approximate_above
        return self.item_index(2 * moment + int(above is not None and len(self._rows) > above))

    @torch.inference_mode()
    def _make_index(self, moment: int, approximate: int) -> ItemIndex:
        self.net.eval()
        idx = torch.as_tensor(self.context.spec.item_idx(self._rows)).long()
        vectors = np.asarray(self.net.item_vectors(idx, torch.as_tensor(self._features(moment))).numpy(), np.float32)
        return ItemIndex(vectors, approximate=bool(approximate))
