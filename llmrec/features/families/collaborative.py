"""Collaborative scores, out of fold by time: a row is scored by models fitted on events before its block of time.

Every model is item-to-item: the score of a candidate is a sum over the items of the user's history as of the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats, Floats32, Ints
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.item_item import ease_weights, fit_als


class PastEvents(Protocol):
    """Who had what, and when, in order of time: a `HistoryData` has it."""

    @property
    def times(self) -> Ints: ...
    @property
    def user_rows(self) -> Ints: ...
    @property
    def item_rows(self) -> Ints: ...


@dataclass(frozen=True)
class ItemModel:
    """Item-to-item scores fitted on events before `start`.

    `left[m][a] @ right[m][b]` is what past item a says about candidate b; full matrices have the identity on the
    right, kept as an empty array.
    """

    start: int  # ms
    items: Ints  # (K,) History rows, ascending
    left: tuple[Floats32, ...]  # a method each, (K + 1, K + 1) or (K + 1, f); the last row and column are zero
    right: tuple[Floats32, ...]  # (0, 0) or (K + 1, f)

    def place(self, rows: Ints) -> Ints:
        """Index of History rows in this model, K for items that it does not know."""
        if not len(self.items):
            return np.zeros(rows.shape, np.int64)
        place = np.searchsorted(self.items, rows).clip(0, len(self.items) - 1)
        return np.where(self.items[place] == rows, place, len(self.items))

    def scores(self, history: Ints, candidates: Ints) -> Floats:
        """(N, 2 methods): sum over the history (N or 1, L), and the last item's share, for (N,) candidates."""
        past, new = self.place(history), self.place(candidates)
        columns = []
        for left, right in zip(self.left, self.right, strict=True):
            if right.size:
                said = np.einsum("nlf,nf->nl", *_broadcast(left[past], right[new]))
            else:
                said = left[past, new[:, None]]
            columns += [said.sum(axis=1, dtype=np.float64), said[:, -1]]
        return np.stack(columns, axis=1)


def _broadcast(past: Floats32, new: Floats32) -> tuple[Floats32, Floats32]:
    return np.broadcast_to(past, (len(new), *past.shape[1:])), new


@dataclass(frozen=True)
class Collaborative:
    """A model a block of time; `models` ascending by `start`. Rows before the first block score zero."""

    methods: tuple[str, ...]
    models: tuple[ItemModel, ...]

    @classmethod
    def fit(cls, settings: FeaturesConfig, events: PastEvents, cutoff: int) -> "Collaborative":
        """Fit before each block's start; the last block starts at `cutoff` (ms) and serves from there on."""
        methods = settings.collaborative
        past = events.times[events.times < cutoff]
        starts = [*block_starts(past, settings.collaborative_blocks), cutoff] if methods else []
        return cls(methods, tuple(fit_before(settings, events, start) for start in starts))

    def scores_at(self, history: Ints, candidates: Ints, time: int) -> Floats:
        """(N, 2 methods) of (N,) candidates for one user with the history (1, L), at `time` (ms)."""
        block = int(np.searchsorted([m.start for m in self.models], time, side="right")) - 1
        if block < 0:
            return np.zeros((len(candidates), len(self.names)))
        return self.models[block].scores(history, candidates)

    @property
    def names(self) -> list[str]:
        return [f"{method}_{how}" for method in self.methods for how in ("history", "last")]

    def __call__(self, users: UserState, items: ItemState) -> Floats:
        """(N, 2 methods) scores as of the rows' times; `users` has N rows or one."""
        scores = np.zeros((len(items), len(self.names)))
        block = np.searchsorted([m.start for m in self.models], items.times, side="right") - 1
        for number in np.unique(block[block >= 0]):
            rows = np.flatnonzero(block == number)
            history = users.history if len(users) == 1 else users.history[rows]
            scores[rows] = self.models[number].scores(history, items.rows[rows])
        return scores


def block_starts(times: Ints, n_blocks: int) -> list[int]:
    """Starts that cut ascending training times into blocks of about equally many events; the first has no model."""
    if not len(times):
        return []
    places = [len(times) * k // n_blocks for k in range(1, n_blocks)]
    return sorted({int(times[p]) for p in places} - {int(times[0])})


def fit_before(settings: FeaturesConfig, events: PastEvents, start: int) -> ItemModel:
    """All methods on the events before `start` (ms), over the most reviewed items of that time."""
    past = events.times < start
    users, items = events.user_rows[past], events.item_rows[past]
    names, counts = np.unique(items, return_counts=True)
    kept = np.sort(names[np.lexsort((names, -counts))][: settings.collaborative_items])
    place = np.searchsorted(kept, items).clip(0, max(len(kept) - 1, 0))
    known = kept[place] == items if len(kept) else np.zeros(0, np.bool_)
    user_names, user_place = np.unique(users[known], return_inverse=True)
    ones = np.ones(len(user_place), np.float32)
    matrix = csr_matrix((ones, (user_place, place[known])), shape=(len(user_names), len(kept)))
    matrix.data[:] = 1
    fitted = [_METHODS[method](matrix, settings) for method in settings.collaborative]
    return ItemModel(start, kept, tuple(f[0] for f in fitted), tuple(f[1] for f in fitted))


Fitted = tuple[Floats32, Floats32]
_NONE = np.zeros((0, 0), np.float32)


def covisitation(matrix: csr_matrix, settings: FeaturesConfig) -> Fitted:
    """Cosine of the items' columns of users (Sarwar et al. 2001), nothing on the diagonal."""
    gram = np.asarray((matrix.T @ matrix).todense(), np.float64)
    length = np.sqrt(np.diag(gram))
    cosine = gram / np.maximum(np.outer(length, length), 1)
    np.fill_diagonal(cosine, 0)
    return _padded(cosine), _NONE


def ease(matrix: csr_matrix, settings: FeaturesConfig) -> Fitted:
    """Ridge regression of each item on all others: `ease_weights`."""
    return _padded(ease_weights(matrix, settings.ease_l2)), _NONE


def ials(matrix: csr_matrix, settings: FeaturesConfig) -> Fitted:
    """iALS; a history enters by the fold-in with the unobserved part's Gram matrix.

    Past item a speaks through `(Y'Y + l2 I)^-1 y_a`, so the score of a history is linear in its items.
    """
    factors = min(settings.ials_factors, max(min(matrix.shape), 1))
    if not min(matrix.shape):
        return _padded(np.zeros((0, 0))), _NONE
    model = fit_als(
        matrix, factors=factors, regularization=settings.ials_l2, alpha=settings.ials_alpha, iterations=15,
        random_state=settings.seed, dtype=np.float64, use_cg=False,
    )  # fmt: skip
    right = np.asarray(model.item_factors, np.float64)
    gram = right.T @ right + settings.ials_l2 * np.eye(factors)
    left = np.linalg.solve(gram, right.T).T * settings.ials_alpha
    return _rows_padded(left), _rows_padded(right)


_METHODS = {"covisitation": covisitation, "ease": ease, "ials": ials}


def _padded(matrix: npt.NDArray[np.floating]) -> Floats32:
    return np.pad(matrix, ((0, 1), (0, 1))).astype(np.float32)


def _rows_padded(matrix: npt.NDArray[np.floating]) -> Floats32:
    return np.pad(matrix, ((0, 1), (0, 0))).astype(np.float32)


def to_arrays(collaborative: Collaborative) -> dict[str, npt.NDArray[np.generic]]:
    """Everything fitted, to be saved."""
    arrays: dict[str, npt.NDArray[np.generic]] = {"starts": np.array([m.start for m in collaborative.models], np.int64)}
    for number, model in enumerate(collaborative.models):
        arrays[f"{number}.items"] = model.items
        for method, left, right in zip(collaborative.methods, model.left, model.right, strict=True):
            arrays |= {f"{number}.{method}.left": left, f"{number}.{method}.right": right}
    return arrays


def from_arrays(methods: Sequence[str], arrays: dict[str, npt.NDArray[np.generic]]) -> Collaborative:
    """What `to_arrays` gave."""
    models = []
    for number, start in enumerate(arrays["starts"].tolist()):
        left, right = (tuple(arrays[f"{number}.{m}.{side}"] for m in methods) for side in ("left", "right"))
        models.append(ItemModel(start, arrays[f"{number}.items"], left, right))  # type: ignore[arg-type]
    return Collaborative(tuple(methods), tuple(models))
