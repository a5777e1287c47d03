"""`FeatureSpec`: everything that is learned about features, fitted on training rows, used by job and server alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from llmrec import files
from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.history import History
from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.behaviour import days_between
from llmrec.features.families.collaborative import Collaborative, from_arrays, to_arrays
from llmrec.features.families.columns import FeatureColumn, FeatureSelection, chosen, indices
from llmrec.features.families.registry import Family, Learned, Side, Values, active
from llmrec.features.transforms.scaling import Scaler
from llmrec.features.transforms.selection import rank, select
from llmrec.variants import family_patterns

_ARRAYS, _REST = "spec.safetensors", "spec.json"
VERSION = 2
_SCALER = [f.name for f in fields(Scaler)]
_SIDES: tuple[Side, ...] = ("user", "item", "pair")
#: Training rows that scalers are fitted on, spread evenly over time.
FIT_ROWS = 20_000
_CHUNK = 1_024


@dataclass(frozen=True)
class Pairs:
    """(N,) users and items at times (ms): rows of `examples`, observed or sampled."""

    user_rows: Ints
    item_rows: Ints
    times: Ints
    contexts: Ints | None = None  # (N, K) of their requests

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: Ints) -> "Pairs":
        contexts = None if self.contexts is None else self.contexts[index]
        return Pairs(self.user_rows[index], self.item_rows[index], self.times[index], contexts)


class FeatureSpec:
    """Vocabularies, scalers, collaborative models and chosen columns. Make one with `fit` or `load`."""

    def __init__(
        self, learned: Learned, user_vocabulary: Ints, item_vocabulary: Ints, scalers: dict[Side, Scaler], cutoff: int
    ) -> None:
        self.learned, self.settings, self.cutoff = learned, learned.settings, cutoff
        self._user_vocabulary, self._item_vocabulary = user_vocabulary, item_vocabulary  # History rows, ascending
        self.scalers = scalers
        self.kept: FeatureSelection | None = None  # None: every column
        self.ranking: dict[str, float] = {}  # column -> score, where columns were selected
        self._families = _families(learned)
        self._columns = {side: self._named(side) for side in _SIDES}

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_families"}  # functions do not travel

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _families=_families(state["learned"]))

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
        attributes = _most_frequent(carried, data.attribute_names, settings.attribute_columns)
        contexts = _most_frequent(data.contexts[data.times < cutoff], data.context_names, settings.context_values)
        scores = Collaborative.fit(settings, data, cutoff)
        dims = (history.sequence_dim, data.vector_dims)
        learned = Learned(settings, history.text_dim, *attributes, scores, *contexts, *dims)
        users, items = (vocabulary(rows, data.times, cutoff) for rows in (data.user_rows, data.item_rows))
        spec = cls(learned, users, items, {}, cutoff)
        spec._fit_scalers(history, training)
        return spec

    def _fit_scalers(self, history: History, training: Pairs) -> None:
        """Features of training rows, spread evenly over them, at most FIT_ROWS, in chunks that fit a cache."""
        chosen = np.unique(np.linspace(0, len(training) - 1, min(FIT_ROWS, len(training))).astype(np.int64))
        raw: dict[Side, list[Values]] = {side: [] for side in _SIDES}
        for start in range(0, len(chosen), _CHUNK):
            rows = training.take(chosen[start : start + _CHUNK])
            users = history.users_at(rows.user_rows, rows.times, rows.contexts)
            items = history.items_at(rows.item_rows, rows.times)
            raw["user"].append(self._raw("user", users))
            raw["item"].append(self._raw("item", items))
            raw["pair"].append(self._raw("pair", users, items))
        for side in _SIDES:
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
        return [name for side in _SIDES for name in self._families[side]]

    @property
    def n_users(self) -> int:
        """Size of the user vocabulary, with 0 for unknown."""
        return len(self._user_vocabulary) + 1

    @property
    def n_items(self) -> int:
        """Size of the item vocabulary, with 0 for unknown."""
        return len(self._item_vocabulary) + 1

    def columns_of(self, variant: str) -> FeatureSelection:
        """Columns of a variant of `variants.py`."""
        return self.select(*family_patterns(variant))

    def select(self, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()) -> FeatureSelection:
        """Columns of the families that match `include` and not `exclude` (shell patterns), for ablations."""
        return self._selection(chosen(self.families, include, exclude))

    def _selection(self, families: list[str]) -> FeatureSelection:
        found = FeatureSelection(*(indices(self._columns[side], families) for side in _SIDES))
        return found if self.kept is None else found.within(self.kept)

    def choose(self, values: dict[Side, Floats32], clicks: Any) -> None:
        """Keep the columns that `settings.selection` finds on training rows in order of time.

        Args:
            values: (n, D) scaled features a side, of the same rows.
            clicks: (n,) 0 or 1.
        """
        config = self.settings.selection
        columns = [c for side in _SIDES for c in self._columns[side]]
        found = rank(np.concatenate([values[side] for side in _SIDES], axis=1), clicks, config)
        places, bounds = select(columns, found, config), np.cumsum([0] + [len(self._columns[s]) for s in _SIDES])
        parts = [places[(places >= a) & (places < b)] - a for a, b in pairwise(bounds)]
        self.kept = FeatureSelection(*parts)
        self.ranking = {c.name: float(score) for c, score in zip(columns, found.scores, strict=True)}

    def user_idx(self, rows: Ints) -> Any:
        """(n,) int32 index in the model's vocabulary, 0 for users that training never saw."""
        return _lookup(self._user_vocabulary, rows)

    def item_idx(self, rows: Ints) -> Any:
        """(n,) int32 index in the model's vocabulary, 0 for items that training never saw."""
        return _lookup(self._item_vocabulary, rows)

    def history_idx(self, users: UserState) -> Any:
        """(Q, L) int32 `item_idx` of the history, oldest first, left-padded with 0."""
        return self.item_idx(users.history)

    def history_ages(self, users: UserState) -> Floats32:
        """(Q, L) log(1 + days) from each event of the history to the query; 0 where padded."""
        times = np.where(users.history_mask, users.history_times, users.times[:, None])
        return days_between(times, users.times[:, None]).astype(np.float32)

    def user_features(self, users: UserState) -> Floats32:
        """(Q, Du), scaled."""
        return self.scalers["user"](self._raw("user", users))

    def item_features(self, items: ItemState) -> Floats32:
        """(I, Di), scaled."""
        return self.scalers["item"](self._raw("item", items))

    def pair_features(self, users: UserState, items: ItemState) -> Floats32:
        """(N, Dp), scaled, of row-aligned states; `users.repeat(N)` sets one user beside N items at little cost."""
        if len(users) != len(items):
            raise ValueError(f"pair_features: found {len(users)} users and {len(items)} items, expected as many")
        return self.scalers["pair"](self._raw("pair", users.once(), items))

    def _raw(self, side: Side, *states: UserState | ItemState) -> Values:
        """Unscaled columns of one side, families in order."""
        parts = [family.values(self.learned, *states) for family in self._families[side].values()]
        return np.concatenate([np.zeros((len(states[-1]), 0)), *parts], axis=1)

    def _named(self, side: Side) -> list[FeatureColumn]:
        return [
            FeatureColumn(c, name) for name, family in self._families[side].items() for c in family.names(self.learned)
        ]

    def _blocks(self, side: Side) -> Ints:
        """Which vector each column belongs to, -1 for scalars."""
        order = {name: k if family.vector else -1 for k, (name, family) in enumerate(self._families[side].items())}
        return np.array([order[c.family] for c in self._columns[side]], np.int64)

    def save(self, folder_uri: str) -> None:
        """Write two files, arrays and the rest."""
        arrays: dict[str, Any] = {"user_vocabulary": self._user_vocabulary, "item_vocabulary": self._item_vocabulary,
                  "attributes": self.learned.attributes, "contexts": self.learned.contexts}  # fmt: skip
        arrays |= {
            f"collaborative.{k}": np.ascontiguousarray(v) for k, v in to_arrays(self.learned.collaborative).items()
        }
        for side, scaler in self.scalers.items():
            arrays |= {f"{side}.{name}": values for name, values in vars(scaler).items()}
        if self.kept is not None:
            arrays |= {f"kept.{side}": getattr(self.kept, side) for side in _SIDES}
        contiguous = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
        files.write_bytes(f"{folder_uri}/{_ARRAYS}", save_tensors(contiguous))
        rest = {
            "version": VERSION,
            "cutoff": self.cutoff,
            "text_dim": self.learned.text_dim,
            "attribute_names": self.learned.attribute_names,
            "context_names": self.learned.context_names,
            "sequence_dim": self.learned.sequence_dim,
            "vector_dims": self.learned.vector_dims,
            "settings": self.settings.model_dump(),
            "ranking": self.ranking,
            "columns": {side: [[c.name, c.family] for c in self._columns[side]] for side in _SIDES},
        }
        files.write_json(f"{folder_uri}/{_REST}", rest)

    @classmethod
    def load(cls, folder_uri: str) -> "FeatureSpec":
        """What `save` wrote. Raises FileNotFoundError, or ValueError for a spec of another version."""
        raw, rest = files.read_bytes(f"{folder_uri}/{_ARRAYS}"), files.read_json(f"{folder_uri}/{_REST}")
        if raw is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_ARRAYS} and {_REST}, found them missing; run featurize")
        if rest["version"] != VERSION:
            raise ValueError(f"{folder_uri}: spec version {rest['version']}, expected {VERSION}; run featurize again")
        arrays: dict[str, Any] = load_tensors(raw)
        settings = FeaturesConfig.model_validate(rest["settings"])
        prefix = "collaborative."
        scores = from_arrays(
            settings.collaborative, {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        )
        attributes, contexts = ((arrays[f"{k}s"], tuple(rest[f"{k}_names"])) for k in ("attribute", "context"))
        dims = (rest["sequence_dim"], rest["vector_dims"])
        learned = Learned(settings, rest["text_dim"], *attributes, scores, *contexts, *dims)
        scalers: dict[Side, Scaler] = {side: Scaler(*(arrays[f"{side}.{name}"] for name in _SCALER)) for side in _SIDES}
        spec = cls(learned, arrays["user_vocabulary"], arrays["item_vocabulary"], scalers, rest["cutoff"])
        spec.ranking = rest["ranking"]
        if "kept.user" in arrays:
            spec.kept = FeatureSelection(*(arrays[f"kept.{side}"] for side in _SIDES))
        return spec


def _families(learned: Learned) -> dict[Side, dict[str, Family]]:
    """The families that are made, by side."""
    made = active(learned).items()
    return {side: {name: family for name, family in made if family.side == side} for side in _SIDES}


def vocabulary(rows: Ints, times: Ints, cutoff: int) -> Ints:
    """Ascending History rows that have an event before `cutoff` (ms)."""
    return np.unique(rows[times < cutoff])


def _lookup(vocabulary: Ints, rows: Ints) -> Any:
    if not len(vocabulary):
        return np.zeros(np.shape(rows), np.int32)
    place = np.searchsorted(vocabulary, rows).clip(0, len(vocabulary) - 1)
    return np.where(vocabulary[place] == rows, place + 1, 0).astype(np.int32)


def _most_frequent(codes: Ints, names: Mapping[int, str], size: int) -> tuple[Ints, tuple[str, ...]]:
    """The `size` most frequent of the hashes (n, A), 0 left out, with their names; ties by name."""
    counted = Counter({int(code): int(n) for code, n in zip(*np.unique(codes, return_counts=True), strict=True)})
    counted.pop(0, None)
    kept = sorted(counted, key=lambda code: (-counted[code], names[code]))[:size]
    return np.array(kept, np.int64), tuple(names[code] for code in kept)
