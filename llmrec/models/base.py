"""One shape for every model: a name in the catalogue, settings, `fit`, arrays to save, and what its role answers.

A retriever scores items for requests, a ranker scores the rows that a retriever found, a rater predicts stars or likes,
a blender joins retrieval scores, the ranker's score and popularity into one, a calibrator turns the ranker's logit into
the probability of a click. Whatever has the shape can be trained by
`jobs.train`, saved in a bundle, evaluated, and served.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from llmrec.catalogue import Role
from llmrec.config.data.outcomes import TaskConfig
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.features.asof.events import NEVER
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.asof.item_sets import ItemSet, ItemWindows
from llmrec.features.asof.state import SessionState, UserState
from llmrec.features.dataset.rows import Examples
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.columns import FeatureColumn, FeatureSelection
from llmrec.models.attribution import Doubles, shapley
from llmrec.storage import Artifact

if TYPE_CHECKING:  # torch takes three seconds of every process that names a model
    from llmrec.config.models import ModelConfig
    from llmrec.models.networks.fit_task import FitTask
    from llmrec.models.retrievers.words.item_words import ItemWords
    from llmrec.workers.process_group import ProcessGroup

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ModelInfo:
    """What is said of a model, and what it needs."""

    title: str  # as the report calls it
    description: str
    #: text: vectors of reviews too; words: those of items; features: a variant's columns
    reads: Literal["events", "text", "words", "features"]
    paper: str = ""
    needs_clock: bool = False  # reads the time of the request, so it has no transductive form
    answers_all: bool = False  # also users of whom nothing is known
    output: Literal["score", "probability", "stars"] = "score"


@dataclass(frozen=True)
class ModelContext:
    """What the features of a fold know, as one variant reads it."""

    spec: FeatureSpec
    history: History
    variant: str

    @cached_property
    def selection(self) -> FeatureSelection:
        return self.spec.columns_of(self.variant)

    @property
    def history_length(self) -> int:
        return self.history.settings.history_length

    @cached_property
    def columns(self) -> dict[str, list[FeatureColumn]]:
        """`user`, `item` and `pair` columns in order; side by side they are the ranker's dense features."""
        s, spec = self.selection, self.spec
        sides = {"user": (s.user, spec.user_columns), "item": (s.item, spec.item_columns),
                 "pair": (s.pair, spec.pair_columns)}  # fmt: skip
        return {side: [columns[int(i)] for i in index] for side, (index, columns) in sides.items()}

    @property
    def dense(self) -> list[FeatureColumn]:
        return [c for columns in self.columns.values() for c in columns]

    @cached_property
    def interactions(self) -> Interactions:
        return Interactions.of_history(self.history)

    @cached_property
    def as_of(self) -> AsOf:
        return AsOf(self.interactions)

    @cached_property
    def listable(self) -> ItemWindows:
        """Which items may be listed at a time: known, and available by their own dates, of which no model learns."""
        return windows(self.interactions, self.history)


def windows(interactions: Interactions, history: History) -> ItemWindows:
    """From the first moment at which an item is known and, where it has dates, available, to the end of that."""
    data, known = history.data, interactions.known_from
    rows = np.arange(len(known))
    begins, ends = data.available_from[rows], data.available_until[rows]
    return ItemWindows(np.maximum(known, np.where(begins == NEVER, known, begins)), ends)


@dataclass(frozen=True)
class FitData:
    """What a model may learn from: the event rows `train` of `data`; what a request adds comes by `as_of`."""

    data: Interactions
    train: Ints
    as_of: AsOf
    vectors: Floats | None = None  # (n_events, dim) of the reviews, zero rows where there is no text
    seed: int = 7
    words: "Callable[[int], ItemWords] | None" = None  # of items, with so many of the reviews before the cut-off

    @property
    def matrix(self) -> sp.csr_matrix:
        """(n_users − 1, n_items − 1) of the training rows, 0/1, without the unknown ones."""
        return self.data.matrix(self.train)[1:, 1:]


@dataclass(frozen=True)
class Requests:
    """Q users who ask at times (ms), with what is known of each.

    `states`: features of users, where the asker has them. `events` (Q,): the row that each request asks for, known in
    an evaluation; no model may read it, save those that measure the leak gap.
    """

    users: Ints
    times: Ints
    as_of: AsOf
    states: UserState | None = None
    events: Ints | None = None

    def __len__(self) -> int:
        return len(self.users)

    @cached_property
    def histories(self) -> sp.csr_matrix:
        """(Q, n_items) 0/1: what each had before its time; what no log holds (guests, sessions) as their state says."""
        known = self.as_of.histories(self.users, self.times)
        more = self._in_no_log(known)
        if more is None:
            return known
        owners = np.concatenate([np.repeat(np.arange(len(self)), np.diff(known.indptr)), more[0]])
        columns = np.concatenate([known.indices, more[1]])
        order = np.argsort(owners, kind="stable")  # within a user the order of time stays
        indptr = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(self)))])
        return sp.csr_matrix((np.ones(len(order), np.float32), columns[order], indptr), shape=known.shape)

    def _in_no_log(self, known: sp.csr_matrix) -> tuple[Ints, Ints] | None:
        """Requests and items: all that somebody unknown had, and what somebody known had not before this session."""
        if self.states is None:
            return None
        told = np.where((self.users == 0)[:, None], self.states.history, 0)
        if isinstance(self.states, SessionState):
            recent = np.where((self.users > 0)[:, None], self.states.recent, 0)
            told = np.concatenate([told, recent], axis=1)
        q, place = np.nonzero(told)
        if not len(q):
            return None
        items = told[q, place]
        new = np.asarray(known[q, items]).ravel() == 0
        return q[new], items[new]

    def take(self, index: Ints) -> "Requests":
        states, events = self.states, self.events
        return Requests(self.users[index], self.times[index], self.as_of, states and states.take(index),
                        None if events is None else events[index])  # fmt: skip


class Model(ABC):
    """Settings and a context; fitted once, saved as arrays."""

    INFO: ClassVar[ModelInfo]
    ROLE: ClassVar[Role]
    Config: ClassVar[Any]  # the class of its settings, a ModelConfig

    def __init__(self, config: Any, context: ModelContext | None = None) -> None:
        """`context`: None where the model reads events alone."""
        self.config, self.context = config, context

    @classmethod
    def parts(cls, config: Any) -> "tuple[ModelConfig, ...]":
        """Settings of the models of the same role that one of these settings is made of."""
        return ()

    def fit_task(self, examples: Artifact, group: "ProcessGroup", validate: bool) -> "FitTask | None":
        """The fit of a network, that Ray Train runs epoch by epoch; None: `fit` does, in one task.

        `examples`: the fold that is learned from; each worker reads its shard. `validate`: also the validation rows.
        """
        return None

    @abstractmethod
    def state(self) -> Arrays:
        """All that was fitted."""

    @abstractmethod
    def restore(self, arrays: Arrays, data: FitData) -> None:
        """Be as fitted; `data` is what the bundle holds, its `train` empty. Raises KeyError for a missing array."""


class Retriever(Model):
    """Scores items for requests."""

    ROLE = "retriever"
    #: How large catalogues are searched, by a model that can do so approximately; None: all exactly.
    approximate: ApproximateConfig | None = None
    #: Whether items that joined after it was fitted are candidates to it.
    grows: ClassVar[bool] = False

    def describe(self, rows: Ints) -> None:
        """Items joined, or other things are known of them: what was kept of these rows no longer holds."""

    def fit(self, data: FitData) -> None:
        """Learn from `data.train` alone."""
        raise NotImplementedError(f"{self.config.name} is fitted by its fit_task")

    @abstractmethod
    def scores(self, requests: Requests) -> Floats:
        """(Q, n_items), higher is better; what was seen or is not known yet is masked by the caller."""

    def answers(self, requests: Requests) -> Bools:
        """(Q,) whether the model knows enough of the user; a fallback answers for the rest."""
        if self.INFO.answers_all:
            return np.ones(len(requests), np.bool_)
        return np.diff(requests.histories.indptr) > 0

    def retrieve_scores(self, requests: Requests, allowed: Bools) -> Floats:
        """(Q, n_items) scores, −inf for what is not allowed."""
        return np.where(allowed, self.scores(requests), np.float32(-np.inf))

    def search(self, requests: Requests, among: ItemSet, barred: Sequence[Ints], k: int) -> tuple[Ints, Floats] | None:
        """What `models.retrieval.retrieve` answers, without a look at every item; None: all have to be looked at.

        `barred`: rows for each request that it may not be given.
        """
        return None

    def vectors_at(self, time: int) -> Floats | None:
        """(n_items, dim + 1) unit vectors of items as of `time`, then their bias; None where the model has none."""
        return None

    def scores_of(self, requests: Requests, rows: Ints) -> Floats:
        """(Q, N) scores of the item rows (Q, N); of row −1 anything."""
        return np.take_along_axis(self.scores(requests), np.maximum(rows, 0), axis=1)


class Ranker(Model):
    """Scores labelled rows, `click` or `like`, on the scale of a logit."""

    ROLE = "ranker"
    context: ModelContext

    def reads_columns(self) -> tuple[str, ...]:
        """The dense features that it reads: of two variants in which they are the same, the model is."""
        return tuple(column.name for column in self.context.dense)

    @property
    def outcomes(self) -> tuple[TaskConfig, ...]:
        """What it predicts, the click first; none: the click alone."""
        return ()

    @property
    def worth(self) -> Mapping[str, float]:
        """Outcome -> what it is worth in a list's order, in clicks; none: the blend orders alone."""
        return {}

    def predictions(self, rows: Examples) -> dict[str, Floats]:
        """Outcome -> (N,): the logit of what is 0 or 1, the log of 1 + a value, stars."""
        return {}

    @abstractmethod
    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        """Learn from `rows`; returns the settings that `held_out` chose, such as a number of trees.

        Without `held_out` the settings are those of the configuration, which then holds what was chosen.
        """

    @abstractmethod
    def logits(self, rows: Examples) -> Floats:
        """(N,)"""

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """Feature family -> (N,) what it adds to the logits of a list's rows.

        They add up to `logits`, but for a number that is the same for all rows. Exact where a model is linear in its
        columns; of any other model, unless it says it better, Shapley values.
        """
        return shapley(self.logits, rows, self.context.dense)


class Rater(Model):
    """Predicts the stars of a review, or the probability that it is a like."""

    ROLE = "rater"

    @abstractmethod
    def fit(self, data: FitData) -> None:
        """Learn from the rows of `data.train`, which have stars; the label `like` is 1 or 0 in their place."""

    @abstractmethod
    def predict(self, users: Ints, items: Ints, times: Ints, reviews: Ints | None = None) -> npt.NDArray[np.float64]:
        """(n,) for aligned rows; `reviews`: the rows' own events, for the measurement of the leak gap alone."""

    def predict_for(
        self, user_row: int, items: Ints, time: int, user: UserState | None = None
    ) -> npt.NDArray[np.float64]:
        """(n,) of items by one user (row 0: unknown); `user`: their state (Q = 1), for a model that reads it."""
        return self.predict(np.full(len(items), user_row), items, np.full(len(items), time))


class Blender(Model):
    """score = f(retrieval scores, ranker's logit, log popularity by window) of a candidate."""

    ROLE = "blender"

    @abstractmethod
    def fit(self, columns: Sequence[str], values: Sequence[npt.NDArray[np.float64]], targets: Sequence[int]) -> None:
        """Learn from validation queries: `values[q]` (N_q, n_columns), `targets[q]` the row of what was taken."""

    @abstractmethod
    def score(self, values: npt.NDArray[np.float64]) -> Floats:
        """(N, n_columns) → (N,)."""

    @abstractmethod
    def lean(self, term: str, share: float) -> None:
        """Be (1 − `share`) · the column `term` alone + `share` · what was fitted."""

    @property
    @abstractmethod
    def weights(self) -> Mapping[str, float]:
        """Column -> weight, as far as there are such."""


class Calibrator(Model):
    """The ranker's logit → the probability of a click; it never changes an order."""

    ROLE = "calibrator"

    @abstractmethod
    def fit(self, logits: Floats, clicks: Floats) -> dict[str, float]:
        """Learn from (N,) rows that the ranker has not seen, in order of time; returns what they say of it."""

    @abstractmethod
    def probability(self, logits: Floats) -> Floats:
        """(N,) → (N,)."""
