"""Retrievers beside a history that grows: what came after a model was fitted is nobody, or nothing, to it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.asof.item_sets import ItemSet
from llmrec.live.context import LiveContext
from llmrec.models.base import Arrays, Bools, FitData, Floats, Ints, Requests, Retriever


class Widened(Retriever):
    """`model`, asked about users that it was not fitted on as about the unknown one, with what they have had since.

    Of items that are new to it, popularity models know counts, and nearest neighbours make vectors; to others they are
    no candidates, and score as the least of the items beside them.
    """

    def __init__(self, model: Retriever, context: LiveContext) -> None:
        """`context`: before anything live is in it."""
        super().__init__(model.config, context)
        data = context.interactions
        self._model, self._n_users, self._n_items = model, data.n_users, data.n_items
        vars(self)["INFO"] = model.INFO

    @property
    def approximate(self) -> ApproximateConfig | None:
        return self._model.approximate

    @approximate.setter
    def approximate(self, settings: ApproximateConfig | None) -> None:
        self._model.approximate = settings

    def describe(self, rows: Ints) -> None:
        self._model.describe(rows)

    def scores(self, requests: Requests) -> Floats:
        return self._padded(self._model.scores(self._narrowed(requests)), requests)

    def answers(self, requests: Requests) -> Bools:
        return self._model.answers(self._narrowed(requests))

    def retrieve_scores(self, requests: Requests, allowed: Bools) -> Floats:
        narrow = allowed if self._model.grows else allowed[:, : self._n_items]
        return self._padded(self._model.retrieve_scores(self._narrowed(requests), narrow), requests)

    def search(self, requests: Requests, among: ItemSet, barred: Sequence[Ints], k: int) -> tuple[Ints, Floats] | None:
        return self._model.search(self._narrowed(requests), among, barred, k) if self._model.grows else None

    def scores_of(self, requests: Requests, rows: Any) -> Floats:
        if self._model.grows or (rows < self._n_items).all():
            return self._model.scores_of(self._narrowed(requests), rows)
        new = rows >= self._n_items
        found = np.array(self._model.scores_of(self._narrowed(requests), np.where(new, 0, rows)))
        least = np.where(new | (rows < 0), np.inf, found).min(axis=1, keepdims=True)
        found[new] = np.broadcast_to(np.where(np.isfinite(least), least, 0), found.shape)[new]
        return found

    def vectors_at(self, time: int) -> Floats | None:
        return self._model.vectors_at(time)

    def state(self) -> Arrays:
        return self._model.state()

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._model.restore(arrays, data)

    def _padded(self, scores: Floats, requests: Requests) -> Floats:
        missing = requests.as_of.data.n_items - scores.shape[1]
        return np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf) if missing > 0 else scores

    def _narrowed(self, requests: Requests) -> Requests:
        """The request as the model may read it."""
        wide = not self._model.grows and requests.as_of.data.n_items > self._n_items
        if not wide and (requests.users < self._n_users).all():
            return requests
        users = np.where(requests.users < self._n_users, requests.users, 0)
        as_of = _Narrow(requests.as_of, self._n_items) if wide else requests.as_of
        narrowed = Requests(users, requests.times, as_of, requests.states, requests.events)
        vars(narrowed)["histories"] = requests.histories[:, : self._n_items] if wide else requests.histories
        return narrowed


class _FirstItems(Interactions):
    """`Interactions` of the first n items."""

    def __init__(self, data: Interactions, n: int) -> None:
        for name, value in {"_data": data, "_n": n}.items():
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    @property
    def n_items(self) -> int:
        return self._n

    @property
    def known_from(self) -> Ints:
        return self._data.known_from[: self._n]

    @cached_property
    def item_hash(self) -> npt.NDArray[np.uint64]:
        return self._data.item_hash[: self._n]

    @cached_property
    def user_hash(self) -> npt.NDArray[np.uint64]:
        return self._data.user_hash

    _data: Interactions
    _n: int


class _Narrow(AsOf):
    """`AsOf` of the first n items."""

    def __init__(self, whole: AsOf, n: int) -> None:
        self._whole, self._n, self.data = whole, n, _FirstItems(whole.data, n)

    def history_lengths(self, users: Ints, times: Ints) -> Ints:
        return self._whole.history_lengths(users, times)

    def histories(self, users: Ints, times: Ints) -> Any:
        return self._whole.histories(users, times)[:, : self._n]

    def counts(self, times: Ints, decay_days: float | None = None) -> npt.NDArray[np.float64]:
        return self._whole.counts(times, decay_days)[:, : self._n]
