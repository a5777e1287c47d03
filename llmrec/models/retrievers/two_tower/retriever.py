"""Retrieval by two towers as of any time."""

import numpy as np
import torch

from llmrec.models.base import Floats, Ints, ModelContext, ModelInfo, Requests
from llmrec.models.by_moment import cached
from llmrec.models.networks.fit_task import FitTask
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.models.retrievers.two_tower.net import TwoTower, TwoTowerConfig
from llmrec.schema import DAY_MS
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup


class TwoTowerRetriever(NearestRetriever):
    """A user tower and an item tower; features of items are kept when the net's weights change."""

    Config = TwoTowerConfig
    INFO = ModelInfo(
        "Two-tower", "cosine of a user tower and an item tower over fused features, plus an item bias", "features",
        "Yi et al., RecSys 2019", needs_clock=True, answers_all=True,
    )  # fmt: skip
    net: TwoTower

    def __init__(self, config: TwoTowerConfig, context: ModelContext | None = None, refresh_ms: int = DAY_MS) -> None:
        super().__init__(config, context, refresh_ms)
        self.net = TwoTower.of(config, self.context)
        self._features = cached(self._make_features)

    def fit_task(self, examples: Artifact, group: ProcessGroup, validate: bool) -> FitTask:
        from llmrec.models.retrievers.two_tower.epochs import TowerTask

        return TowerTask(self, examples, group, validate)

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
            torch.as_tensor(spec.user_features(users, self.context.selection.user)),
        )
        return np.asarray(vectors.numpy(), np.float32)

    def item_vectors(self, time: int, rows: Ints | None = None) -> Floats:
        idx = torch.as_tensor(self.context.spec.item_idx(self.rows if rows is None else rows)).long()
        features = self._features(time) if rows is None else self._features_of(time, rows)
        return np.asarray(self.net.item_vectors(idx, torch.as_tensor(features)).numpy(), np.float32)

    def _make_features(self, time: int) -> Floats:
        return self._features_of(time, self.rows)

    def _features_of(self, time: int, rows: Ints) -> Floats:
        states = self.context.history.items_at(rows, np.full(len(rows), time, np.int64))
        return self.context.spec.item_features(states, self.context.selection.item)
