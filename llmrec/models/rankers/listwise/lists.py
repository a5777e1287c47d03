"""Lists to learn from: training clicks among the candidates that retrieval would have brought at their time."""

from dataclasses import dataclass
from itertools import chain

import numpy as np

from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Ints, ModelContext, Requests
from llmrec.models.click_rows import click_rows
from llmrec.models.retrieval import candidates, retrieve
from llmrec.models.retrievers.time_at_risk import TimeAtRisk, TimeAtRiskConfig

#: Of the popularity by time at risk that brings candidates: nothing of it is fitted, so no list knows its answer.
_DECAYS = (30.0, 365.0)


@dataclass(frozen=True)
class ListQueries:
    """Q clicks: who, when, and which item, by rows of the history; all (Q,)."""

    users: Ints
    times: Ints
    items: Ints

    @classmethod
    def of(cls, rows: Examples, context: ModelContext, n: int) -> "ListQueries":
        """The last n clicks of `rows`: taste and catalogue drift, and the next days resemble the last ones."""
        data = context.history.data
        events = np.unique(rows.query[rows.click > 0])[-n:]
        return cls(data.user_rows[events], data.times[events], data.item_rows[events])


def candidate_lists(context: ModelContext, asked: ListQueries, n: int) -> Ints:
    """(Q, ≤ n) rows of candidates, −1 pads: the best of each decay, and by what users of the same items had."""
    requests = Requests(asked.users, asked.times, context.as_of)
    found = [retrieve(TimeAtRisk(TimeAtRiskConfig(decay_days=d)), requests, n)[0] for d in _DECAYS]
    found += _alike(context, requests, n)
    merged = np.full((len(requests), n), -1, np.int64)
    for q in range(len(requests)):
        in_turn = dict.fromkeys(chain.from_iterable(zip(*(rows[q].tolist() for rows in found), strict=True)))
        in_turn.pop(-1, None)
        mine = list(in_turn)[:n]
        merged[q, : len(mine)] = mine
    return merged


def _alike(context: ModelContext, requests: Requests, n: int) -> list[Ints]:
    """(Q, n) rows by the first collaborative score, which is out of fold by time; none where there is no score."""
    scores = context.spec.learned.collaborative
    if not scores.methods:
        return []
    everything = np.arange(context.interactions.n_items)
    allowed, rows = candidates(requests), np.full((len(requests), n), -1, np.int64)
    for q, time in enumerate(requests.times):
        user = context.history.users_at(requests.users[[q]], requests.times[[q]])
        said = np.where(allowed[q], scores.scores_at(user.history, everything, int(time))[:, 0], 0)
        best = np.argsort(-said, kind="stable")[:n]
        rows[q, : len(best)] = np.where(said[best] > 0, best, -1)
    return [rows]


def list_rows(context: ModelContext, asked: ListQueries, lists: Ints) -> tuple[list[Examples], list[int]]:
    """Rows of each list that holds its click, and the click's place in it; lists without it teach nothing."""
    rows, targets = [], []
    for q in np.flatnonzero((lists == asked.items[:, None]).any(axis=1)):
        some = lists[q][lists[q] >= 0]
        time = asked.times[[q]]
        user = context.history.users_at(asked.users[[q]], time, context.history.contexts_at(asked.users[[q]], time))
        rows.append(click_rows(context, user, context.history.items_at(some, np.repeat(time, len(some)))))
        targets.append(int(np.flatnonzero(some == asked.items[q])[0]))
    return rows, targets
