"""Text similarity: what is written about an item, against what the user wrote."""

from typing import Any, Literal

import numpy as np

from llmrec.config.models import ModelConfig
from llmrec.features.families.text import description, profile
from llmrec.models.base import Arrays, Bools, FitData, Floats, ModelContext, ModelInfo, Requests, Retriever
from llmrec.models.by_moment import by_moment, cached
from llmrec.schema import DAY_MS


class TextSimilarityConfig(ModelConfig):
    name: Literal["text_similarity"] = "text_similarity"


class TextSimilarity(Retriever):
    """The larger cosine of the user's review profile with the item's reviews, and with its own text.

    Nothing is fitted: profiles are as of the request, the items' by the day. Centred vectors: 0 is "nothing in common".
    """

    Config = TextSimilarityConfig
    INFO = ModelInfo("Text similarity", "cosine of the user's reviews with the item's reviews or own text", "features",
                     needs_clock=True)  # fmt: skip

    def __init__(self, config: Any, context: ModelContext | None = None) -> None:
        super().__init__(config, context)
        self._vectors = cached(self._make)

    def fit(self, data: FitData) -> None:
        pass

    def _make(self, day: int) -> Floats:
        """(2, n_items, dim) unit vectors, zero where there is no text."""
        assert self.context is not None
        rows = np.arange(len(self.context.history.item_ids))
        items = self.context.history.items_at(rows, np.full(len(rows), day * DAY_MS, np.int64))
        return np.stack([profile(items, "mean"), description(items)])

    def scores(self, requests: Requests) -> Floats:
        assert requests.states is not None
        users = profile(requests.states, "mean")
        found = np.empty((len(requests), requests.as_of.data.n_items), np.float32)
        for day, part in by_moment(requests.times // DAY_MS):
            found[part] = np.maximum(*(users[part] @ theirs.T for theirs in self._vectors(day)))
        return found

    def answers(self, requests: Requests) -> Bools:
        assert requests.states is not None
        return np.asarray((requests.states.text_weight > 0).any(axis=1))

    def state(self) -> Arrays:
        return {}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        pass
