"""`FeatureSpec`: everything that is learned about features, fitted on training rows, used by job and server alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.history import History
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec_state import SIDES, SpecState, save_state
from llmrec.features.dataset.vocabulary import lookup, most_frequent, vocabulary
from llmrec.features.families.behaviour import days_between
from llmrec.features.families.collaborative import Collaborative
from llmrec.features.families.columns import FeatureColumn, FeatureSelection, chosen, indices
from llmrec.features.families.learned import Learned, Side, Values
from llmrec.features.families.registry import Family, active
from llmrec.features.transforms.scaling import Scaler
from llmrec.features.transforms.selection import rank, select
from llmrec.variants import family_patterns

#: Training rows that scalers are fitted on, spread evenly over time.
FIT_ROWS = 20_000
_CHUNK = 1_024


@dataclass(frozen=True)
class _Made:
    """What is made for columns that somebody reads: whole families, of which `places` are handed on."""

    families: list[Family]
    scaler: Scaler
    places: Ints


@dataclass(eq=False)
class FeatureSpec(SpecState):
    """Vocabularies, scalers, collaborative models and chosen columns. Make one with `fit` or `load`."""

    def __post_init__(self) -> None:
        self.settings = self.learned.settings
        self._families = _families(self.learned)
        self._columns = {side: self._named(side) for side in SIDES}
        self._made = dict[tuple[Side, bytes], _Made]()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_families", "_made")}  # functions do not travel

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _families=_families(state["learned"]), _made={})

    @classmethod
    def fit(cls, settings: FeaturesConfig, history: History, training: Pairs, cutoff: int) -> "FeatureSpec":
        """Learn from what happened before `cutoff` (ms). Raises ValueError for a training row at or after it.

        Args:
            history: may hold later events; none of them is looked at.
            training: rows of the split `train`, with their negatives; scalers are fitted on their features.
        """
        late = training.times >= cutoff
        if late.any():
            raise ValueError(f"training rows: {late.sum()} lie at or after the cutoff {cutoff}, expected none")
        data = history.data
        carried = data.attributes[history.known_items(cutoff)]
        attributes = most_frequent(carried, data.attribute_names, settings.attribute_columns)
        contexts = most_frequent(data.contexts[data.times < cutoff], data.context_names, settings.context_values)
        scores = Collaborative.fit(settings, data, cutoff)
        dims = (history.sequence_dim, data.vector_dims)
        further, earlier = history.further, np.unique(data.user_rows[data.times < cutoff])
        labels = most_frequent(data.user_attributes[earlier], data.user_attribute_names, settings.attribute_columns)
        learned = Learned(settings, history.text_dim, *attributes, scores, *contexts, *dims, history.reading_dim,
                          history.profile_dim, further.kinds, further.relations is not None, *labels)  # fmt: skip
        users, items = (vocabulary(rows, data.times, cutoff) for rows in (data.user_rows, data.item_rows))
        spec = cls(learned, users, items, cutoff)
        spec._fit_scalers(history, training)
        return spec

    def continued(self, history: History, cutoff: int) -> "FeatureSpec":
        """The same columns, scales and choices; vocabularies and collaborative scores of events before `cutoff` (ms).

        So what models have learned of columns holds. Raises ValueError where this history makes other columns.
        """
        learned, data, further = self.learned, history.data, history.further
        kept = {"settings": learned.settings, "text_dim": learned.text_dim, "sequence_dim": learned.sequence_dim,
                "vector_dims": dict(learned.vector_dims), "reading_dim": learned.reading_dim,
                "profile_dim": learned.profile_dim, "event_kinds": learned.event_kinds,
                "relations": learned.relations}  # fmt: skip
        now = {"settings": history.settings, "text_dim": history.text_dim, "sequence_dim": history.sequence_dim,
               "vector_dims": dict(data.vector_dims), "reading_dim": history.reading_dim,
               "profile_dim": history.profile_dim, "event_kinds": further.kinds,
               "relations": further.relations is not None}  # fmt: skip
        if differ := [name for name in kept if kept[name] != now[name]]:
            raise ValueError(f"features: {', '.join(differ)} differ from those of the bundle that is to go on, "
                             "expected the same corpus and section `features`; run jobs.pipeline")  # fmt: skip
        scores = Collaborative.fit(learned.settings, data, cutoff)
        users, items = (vocabulary(rows, data.times, cutoff) for rows in (data.user_rows, data.item_rows))
        return replace(
            self, learned=replace(learned, collaborative=scores), user_vocabulary=users, item_vocabulary=items,
            cutoff=cutoff,
        )  # fmt: skip

    def _fit_scalers(self, history: History, training: Pairs) -> None:
        """Features of training rows, spread evenly over them, at most FIT_ROWS, in chunks that fit a cache."""
        chosen = np.unique(np.linspace(0, len(training) - 1, min(FIT_ROWS, len(training))).astype(np.int64))
        raw: dict[Side, list[Values]] = {side: [] for side in SIDES}
        for start in range(0, len(chosen), _CHUNK):
            rows = training.take(chosen[start : start + _CHUNK])
            users = history.users_at(rows.user_rows, rows.times, rows.contexts)
            items = history.items_at(rows.item_rows, rows.times)
            raw["user"].append(self.unscaled("user", users))
            raw["item"].append(self.unscaled("item", items))
            raw["pair"].append(self.unscaled("pair", users, items))
        for side in SIDES:
            blocks = self._blocks(side)
            self.scalers[side] = Scaler.fit(
                np.concatenate([np.zeros((0, len(blocks))), *raw[side]]), blocks, self.settings.normalisation
            )

    @property
    def user_columns(self) -> list[FeatureColumn]:
        return self._columns["user"]

    @property
    def item_columns(self) -> list[FeatureColumn]:
        return self._columns["item"]

    @property
    def pair_columns(self) -> list[FeatureColumn]:
        return self._columns["pair"]

    @property
    def families(self) -> list[str]:
        """Every family that this spec makes."""
        return [name for side in SIDES for name in self._families[side]]

    @property
    def n_users(self) -> int:
        """Size of the user vocabulary, with 0 for unknown."""
        return len(self.user_vocabulary) + 1

    @property
    def n_items(self) -> int:
        """Size of the item vocabulary, with 0 for unknown."""
        return len(self.item_vocabulary) + 1

    def columns_of(self, variant: str) -> FeatureSelection:
        """Columns of a variant of `variants.py`."""
        return self.select(*family_patterns(variant))

    def select(self, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> FeatureSelection:
        """Columns of the families that match `include` and not `exclude` (shell patterns), for ablations."""
        return self._selection(chosen(self.families, include, exclude))

    def _selection(self, families: list[str]) -> FeatureSelection:
        found = FeatureSelection(*(indices(self._columns[side], families) for side in SIDES))
        return found if self.kept is None else found.within(self.kept)

    def choose(self, values: dict[Side, Floats32], clicks: Any) -> None:
        """Keep the columns that `settings.selection` finds on training rows in order of time.

        Args:
            values: (n, D) scaled features a side, of the same rows.
            clicks: (n,) 0 or 1.
        """
        config = self.settings.selection
        columns = [c for side in SIDES for c in self._columns[side]]
        found = rank(np.concatenate([values[side] for side in SIDES], axis=1), clicks, config)
        places, bounds = select(columns, found, config), np.cumsum([0] + [len(self._columns[s]) for s in SIDES])
        parts = [places[(places >= a) & (places < b)] - a for a, b in pairwise(bounds)]
        self.kept = FeatureSelection(*parts)
        self.ranking = {c.name: float(score) for c, score in zip(columns, found.scores, strict=True)}

    def user_idx(self, rows: Ints) -> Any:
        """(n,) int32 index in the model's vocabulary, 0 for users that training never saw."""
        return lookup(self.user_vocabulary, rows)

    def item_idx(self, rows: Ints) -> Any:
        """(n,) int32 index in the model's vocabulary, 0 for items that training never saw."""
        return lookup(self.item_vocabulary, rows)

    def users_idx(self, users: UserState) -> Any:
        """(Q,) int32 `user_idx` as of each state's time: 0 too where training saw the user at that time or later.

        So a training row shows what a newcomer's request will show: the first event of a user has no id yet.
        """
        return np.where(users.count > 0, self.user_idx(users.rows), np.int32(0))

    def items_idx(self, items: ItemState) -> Any:
        """(I,) int32 `item_idx` as of each state's time, as `users_idx`."""
        return np.where(items.count > 0, self.item_idx(items.rows), np.int32(0))

    def history_idx(self, users: UserState) -> Any:
        """(Q, L) int32 `item_idx` of the history, oldest first, left-padded with 0."""
        return self.item_idx(users.history)

    def history_ages(self, users: UserState) -> Floats32:
        """(Q, L) log(1 + days) from each event of the history to the query; 0 where padded."""
        times = np.where(users.history_mask, users.history_times, users.times[:, None])
        return days_between(times, users.times[:, None]).astype(np.float32)

    def user_features(self, users: UserState, columns: Ints | None = None) -> Floats32:
        """(Q, Du), scaled; of `columns` alone, ascending places, where they are named."""
        return self._scaled("user", columns, users)

    def item_features(self, items: ItemState, columns: Ints | None = None) -> Floats32:
        """(I, Di), scaled; of `columns` as in `user_features`."""
        return self._scaled("item", columns, items)

    def pair_features(self, users: UserState, items: ItemState, columns: Ints | None = None) -> Floats32:
        """(N, Dp), scaled, of N items, each beside its user or all beside one; of `columns` as in `user_features`."""
        if len(users) not in (1, len(items)):
            raise ValueError(
                f"pair_features: found {len(users)} users and {len(items)} items, expected as many, or one"
            )
        return self._scaled("pair", columns, users, items)

    def _scaled(self, side: Side, columns: Ints | None, *states: UserState | ItemState) -> Floats32:
        if columns is None:
            return self.scalers[side](self.unscaled(side, *states))
        key = side, columns.tobytes()
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = self._make(side, columns)
        return made.scaler(_values(made.families, self.learned, states))[:, made.places]

    def _make(self, side: Side, columns: Ints) -> _Made:
        """A family of which no column is read is not made."""
        named = self._columns[side]
        read = {named[place].family for place in columns.tolist()}
        whole = indices(named, read)
        families = [family for name, family in self._families[side].items() if name in read]
        return _Made(families, self.scalers[side].take(whole), np.searchsorted(whole, columns))

    def unscaled(self, side: Side, *states: UserState | ItemState) -> Values:
        """(n, D) all columns of a side as their families make them; pairs: of users and of items."""
        return _values(self._families[side].values(), self.learned, states)

    def _named(self, side: Side) -> list[FeatureColumn]:
        return [
            FeatureColumn(c, name) for name, family in self._families[side].items() for c in family.names(self.learned)
        ]

    def _blocks(self, side: Side) -> Ints:
        """Which vector each column belongs to, -1 for scalars."""
        order = {name: k if family.vector else -1 for k, (name, family) in enumerate(self._families[side].items())}
        return np.array([order[c.family] for c in self._columns[side]], np.int64)

    def save(self, folder_uri: str) -> None:
        """Write two files, which `load` reads."""
        save_state(folder_uri, self, self._columns)


def _values(families: Iterable[Family], learned: Learned, states: Sequence[UserState | ItemState]) -> Values:
    """Families in order."""
    parts = [family.values(learned, *states) for family in families]
    return np.concatenate([np.zeros((len(states[-1]), 0)), *parts], axis=1)


def _families(learned: Learned) -> dict[Side, dict[str, Family]]:
    """The families that are made, by side."""
    made = active(learned).items()
    return {side: {name: family for name, family in made if family.side == side} for side in SIDES}
