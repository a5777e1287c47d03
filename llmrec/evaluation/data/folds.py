"""What a protocol makes of a corpus: events to learn from, queries to answer, and what may be seen when answering."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from llmrec.evaluation.records.tables import InformationSet
from llmrec.features.asof.interactions import AsOf, Interactions, Ints


@dataclass(frozen=True)
class Wording:
    """A protocol in words."""

    description: str
    history: str
    refit: str
    candidates: str


@dataclass(frozen=True)
class Queries:
    """Questions "what will this user take?" and their answers.

    `user`, `time` (Q,); the relevant items of query q are `item[indptr[q]:indptr[q + 1]]`, `event` their event rows.
    """

    user: Ints
    time: Ints
    indptr: Ints
    item: Ints
    event: Ints

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_relevant(self) -> Ints:
        return np.diff(self.indptr)

    def part(self, rows: slice) -> "Queries":
        """The queries `rows`, a slice without steps."""
        indptr = self.indptr[rows.start : rows.stop + 1]
        held = slice(indptr[0], indptr[-1])
        return Queries(self.user[rows], self.time[rows], indptr - indptr[0], self.item[held], self.event[held])

    def take(self, rows: Ints) -> "Queries":
        """The queries `rows` (n,), in their order."""
        size = self.n_relevant[rows]
        indptr = np.concatenate([[0], np.cumsum(size)])
        at = np.repeat(self.indptr[rows] - indptr[:-1], size) + np.arange(indptr[-1])
        return Queries(self.user[rows], self.time[rows], indptr, self.item[at], self.event[at])


@dataclass(frozen=True)
class Fold:
    """One fit and its questions. `train`: event rows that parameters may see; `visible`: that histories may hold."""

    data: Interactions
    information_set: InformationSet
    train: Ints
    visible: Ints
    queries: Queries
    known_items_only: bool
    t: int | None = None  # the cut-off that training ends at; None: no such time

    @cached_property
    def as_of(self) -> AsOf:
        """What histories may hold, by time."""
        return AsOf(self.data, self.visible)

    def candidates(self, rows: slice) -> npt.NDArray[np.bool_] | None:
        """(B, n_items) items known before each query's time; None: all of them."""
        times = self.queries.time[rows]
        if not self.known_items_only or (len(times) and self.data.known_from.max() < times.min()):
            return None
        return self.data.known_from[None, :] < times[:, None]

    def missed(self) -> int:
        """Targets that no list may hold: not known before their query's time, or had by the user before (repeats).

        Where what a user had is a candidate, repeats are none of them.
        """
        q = self.queries
        query = np.repeat(np.arange(len(q)), q.n_relevant)
        outside = np.zeros(len(query), np.bool_)
        if self.data.exclude_seen:
            outside = np.asarray(self.as_of.histories(q.user, q.time)[query, q.item]).ravel() > 0
        if self.known_items_only:
            outside |= self.data.known_from[q.item] >= q.time[query]
        return int(outside.sum())


@dataclass(frozen=True)
class Split:
    """A protocol applied to a corpus: settings are chosen on `validation`, then `test` is fitted anew and asked."""

    name: str
    wording: Wording
    validation: Fold
    test: Fold
