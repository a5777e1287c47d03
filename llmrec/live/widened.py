"""Retrievers beside a history that grows: who came after a model was fitted is nobody to it, but has a history."""

from typing import Any

import numpy as np

from llmrec.live.context import LiveContext
from llmrec.models.base import Arrays, Bools, FitData, Floats, Requests, Retriever


class Widened(Retriever):
    """`model` asked about users that it was not fitted on as about the unknown one, with what they have had since."""

    def __init__(self, model: Retriever, context: LiveContext) -> None:
        """`context`: before any live event is in it."""
        super().__init__(model.config, context)
        self._model, self._n_users = model, context.interactions.n_users
        vars(self)["INFO"] = model.INFO

    @property
    def approximate_above(self) -> int | None:
        return self._model.approximate_above

    @approximate_above.setter
    def approximate_above(self, above: int | None) -> None:
        self._model.approximate_above = above

    def _narrowed(self, requests: Requests) -> Requests:
        if (requests.users < self._n_users).all():
            return requests
        users = np.where(requests.users < self._n_users, requests.users, 0)
        narrowed = Requests(users, requests.times, requests.as_of, requests.states, requests.events)
        vars(narrowed)["histories"] = requests.histories
        return narrowed

    def scores(self, requests: Requests) -> Floats:
        return self._model.scores(self._narrowed(requests))

    def answers(self, requests: Requests) -> Bools:
        return self._model.answers(self._narrowed(requests))

    def retrieve_scores(self, requests: Requests, allowed: Bools, k: int) -> Floats:
        return self._model.retrieve_scores(self._narrowed(requests), allowed, k)

    def scores_of(self, requests: Requests, rows: Any) -> Floats:
        return self._model.scores_of(self._narrowed(requests), rows)

    def vectors_at(self, time: int) -> Floats | None:
        return self._model.vectors_at(time)

    def state(self) -> Arrays:
        return self._model.state()

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._model.restore(arrays, data)
