"""Pointwise rankers over hand-made features of (user, item) as of t: gradient boosting and logistic regression.

Collaborative scores are out of fold by time: rows of the last stretch of training are described by item-item weights
fitted before it. At the test the weights are fitted on all training rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from llmrec.evaluation.baselines.base import Baseline, Block
from llmrec.evaluation.baselines.item_item import ease_weights
from llmrec.evaluation.data.folds import Fold
from llmrec.evaluation.data.interactions import END, AsOf, Interactions, Ints, Scores
from llmrec.evaluation.data.profiles import IncludedTargetReview, Profiles, Vectors, reduced
from llmrec.schema import DAY_MS

_NEGATIVES = 60
#: Share of training, the latest, that the ranker learns from: [T1, T2) of the default split.
_HELD_OUT = 1 / 9
_DAYS = (90.0, 365.0)


@dataclass
class Pointwise(Baseline):
    """What both rankers share; `vectors` (n_events, dim) in the order of `Interactions`, None: no text."""

    vectors: Vectors | None = None
    put_back: IncludedTargetReview | None = None
    seed: int = 7
    text_dim: int = 32
    label: ClassVar[str] = ""
    description: ClassVar[str] = ""
    uses_history: ClassVar[bool] = False  # popularity is among the features: it needs no fallback
    collaborative: ClassVar[bool] = True
    _weights: npt.NDArray[np.float32] = field(init=False, repr=False)

    def estimator(self) -> Any:
        """An unfitted scikit-learn classifier."""
        raise NotImplementedError

    def fit(self, fold: Fold) -> None:
        data, train = fold.data, fold.train
        self._prepare(fold)
        cut = np.quantile(data.time[train], 1 - _HELD_OUT)
        early, late = train[data.time[train] < cut], train[data.time[train] >= cut]
        self._weights = ease_weights(data.matrix(early), 200.0)
        known = data.known_from[data.item[late]] < data.time[late]
        rows, label = self._training_rows(data, fold.as_of, late[known])
        self._model = self.estimator()
        self._model.fit(rows, label)
        self._weights = ease_weights(data.matrix(train), 200.0)

    def _prepare(self, fold: Fold) -> None:
        data = fold.data
        self._event_item = data.item
        self._first = np.full(data.n_items, END)
        np.minimum.at(self._first, data.item, data.time)
        if self.vectors is not None:
            small = reduced(self.vectors, fold.train, self.text_dim, self.seed)
            self._users = Profiles(data, data.user, data.n_users, small)
            self._items = Profiles(data, data.item, data.n_items, small)
            self._mean = small[fold.train].mean(axis=0)

    def _training_rows(
        self, data: Interactions, as_of: AsOf, events: Ints
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Each event as a positive beside uniformly drawn items that were candidates at its time."""
        rng = np.random.default_rng(self.seed)
        rows, labels = [], []
        users, times = data.user[events], data.time[events]
        histories = as_of.histories(users, times)
        popularity = [as_of.popularity(times, d) for d in (None, *_DAYS)]
        for q, e in enumerate(events):
            candidates = np.flatnonzero(data.known_from < times[q])
            candidates = np.setdiff1d(candidates, histories[q].indices)
            drawn = rng.choice(candidates, min(_NEGATIVES, len(candidates)), replace=False)
            kept = np.append(data.item[e], drawn[drawn != data.item[e]])
            described = self._describe(users[q], times[q], histories[q], [p[q] for p in popularity], int(e))
            rows.append(described[kept])
            labels.append(np.arange(len(kept)) == 0)
        return np.concatenate(rows), np.concatenate(labels)

    def scores(self, block: Block) -> Scores:
        out = np.empty((len(block.users), block.histories.shape[1]), np.float32)
        for q, features in enumerate(self._features(block)):
            out[q] = self._model.predict_proba(features)[:, 1]
        return out

    def _features(self, block: Block) -> Iterator[npt.NDArray[np.float32]]:
        popularity = [block.as_of.popularity(block.times, d) for d in (None, *_DAYS)]
        for q in range(len(block.users)):
            at = [p[q] for p in popularity]
            yield self._describe(block.users[q], block.times[q], block.histories[q], at, int(block.events[q]))

    def _describe(self, user: int, time: int, history: Any, popularity: list[Scores], event: int) -> Scores:
        """(n_items, n_features) of one query; `event` is the target's row, used only where a review is put back."""
        parts = self._collaborative(time, history, popularity) if self.collaborative else []
        if self.vectors is not None:
            parts += self._text(user, time, event)
        return np.stack([np.asarray(p, np.float32) for p in parts], axis=1)

    def _collaborative(self, time: int, history: Any, popularity: list[Scores]) -> list[Any]:
        n_items = history.shape[1]
        last = history.indices[-1:] if history.nnz else None  # columns are in order of time
        age = np.log1p(np.maximum((time - self._first.astype(np.float64)) / DAY_MS, 0))
        by_last = self._weights[last[0]] if last is not None else np.zeros(n_items, np.float32)
        scores = np.asarray(history @ self._weights).ravel()
        return [scores, by_last, np.full(n_items, history.nnz), age, *popularity]

    def _text(self, user: int, time: int, event: int) -> list[Any]:
        """Similarity of the user's and each item's profile, and their product by component."""
        on_user, on_item = self.put_back in ("user side", "both"), self.put_back in ("item side", "both")
        extra = np.array([event if on_user else -1])
        me, _ = self._users.at(np.array([user]), np.array([time]), extra)
        items, count = self._items.everyone_at(time)
        if on_item and event >= 0:
            target = int(self._event_item[event])
            with_it, n = self._items.at(np.array([target]), np.array([time]), np.array([event]))
            items[target], count[target] = with_it[0], n[0]
        me, items = me[0] - self._mean * bool(me.any()), items - self._mean * (count > 0)[:, None]
        norms = np.linalg.norm(items, axis=1) * np.linalg.norm(me) + 1e-9
        return [items @ me / norms, count, *(items * me).T]


@dataclass
class Boosted(Pointwise):
    """Histogram gradient boosting over collaborative, popularity and (with vectors) text features."""

    label: ClassVar[str] = "Boosted ranker"
    description: ClassVar[str] = "gradient-boosted trees over out-of-fold EASE scores, popularity, recency and text"

    def estimator(self) -> HistGradientBoostingClassifier:
        return HistGradientBoostingClassifier(
            max_iter=200, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=5, random_state=self.seed
        )


@dataclass
class TextLogistic(Pointwise):
    """Logistic regression on the frozen encoder's profiles alone."""

    C: float = 1.0
    label: ClassVar[str] = "Logistic regression on text"
    description: ClassVar[str] = "logistic regression on products of the user's and the item's frozen text profile"
    uses_history: ClassVar[bool] = True
    collaborative: ClassVar[bool] = False

    def estimator(self) -> Any:
        return make_pipeline(StandardScaler(), LogisticRegression(C=self.C, max_iter=500))
