"""All that a `FeatureSpec` has learned, and its two files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from llmrec import files
from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Ints, find_arrays, write_arrays
from llmrec.features.families import collaborative
from llmrec.features.families.columns import FeatureColumn, FeatureSelection
from llmrec.features.families.learned import Learned, Side
from llmrec.features.transforms.scaling import Scaler

SIDES: tuple[Side, ...] = ("user", "item", "pair")
VERSION = 5
_ARRAYS, _REST = "spec.safetensors", "spec.json"
_SCALER = [f.name for f in fields(Scaler)]
_SCORES = "collaborative."


@dataclass(eq=False)
class SpecState:
    """Fitted on training rows alone."""

    learned: Learned
    user_vocabulary: Ints  # History rows, ascending
    item_vocabulary: Ints
    cutoff: int  # ms
    scalers: dict[Side, Scaler] = field(default_factory=dict)
    kept: FeatureSelection | None = None  # None: every column
    ranking: dict[str, float] = field(default_factory=dict)  # column -> score, where columns were selected

    @classmethod
    def load(cls, folder_uri: str) -> Self:
        """What `save_state` wrote. Raises FileNotFoundError, or ValueError for a spec of another version."""
        found, rest = find_arrays(f"{folder_uri}/{_ARRAYS}"), files.read_json(f"{folder_uri}/{_REST}")
        if found is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_ARRAYS} and {_REST}, found them missing; run featurize")
        if rest["version"] != VERSION:
            raise ValueError(f"{folder_uri}: spec version {rest['version']}, expected {VERSION}; run featurize again")
        arrays: dict[str, Any] = found
        scalers: dict[Side, Scaler] = {side: Scaler(*(arrays[f"{side}.{name}"] for name in _SCALER)) for side in SIDES}
        kept = FeatureSelection(*(arrays[f"kept.{side}"] for side in SIDES)) if "kept.user" in arrays else None
        vocabularies = arrays["user_vocabulary"], arrays["item_vocabulary"]
        return cls(_learned(arrays, rest), *vocabularies, rest["cutoff"], scalers, kept, rest["ranking"])


def save_state(folder_uri: str, state: SpecState, columns: Mapping[Side, Sequence[FeatureColumn]]) -> None:
    """Write two files, arrays and the rest, which names the columns too."""
    write_arrays(f"{folder_uri}/{_ARRAYS}", _arrays(state))
    learned = state.learned
    rest = {
        "version": VERSION,
        "cutoff": state.cutoff,
        "text_dim": learned.text_dim,
        "attribute_names": learned.attribute_names,
        "context_names": learned.context_names,
        "sequence_dim": learned.sequence_dim,
        "vector_dims": learned.vector_dims,
        "reading_dim": learned.reading_dim,
        "profile_dim": learned.profile_dim,
        "event_kinds": learned.event_kinds,
        "relations": learned.relations,
        "user_attribute_names": learned.user_attribute_names,
        "settings": learned.settings.model_dump(),
        "ranking": state.ranking,
        "columns": {side: [[c.name, c.family] for c in columns[side]] for side in SIDES},
    }
    files.write_json(f"{folder_uri}/{_REST}", rest)


def _arrays(state: SpecState) -> dict[str, np.ndarray[Any, Any]]:
    learned = state.learned
    arrays: dict[str, Any] = {"user_vocabulary": state.user_vocabulary, "item_vocabulary": state.item_vocabulary,
                              "attributes": learned.attributes, "contexts": learned.contexts,
                              "user_attributes": learned.user_attributes}  # fmt: skip
    arrays |= {f"{_SCORES}{k}": v for k, v in collaborative.to_arrays(learned.collaborative).items()}
    for side, scaler in state.scalers.items():
        arrays |= {f"{side}.{name}": getattr(scaler, name) for name in _SCALER}
    if state.kept is not None:
        arrays |= {f"kept.{side}": getattr(state.kept, side) for side in SIDES}
    return arrays


def _learned(arrays: Mapping[str, Any], rest: Mapping[str, Any]) -> Learned:
    settings = FeaturesConfig.model_validate(rest["settings"])
    mine = {k.removeprefix(_SCORES): v for k, v in arrays.items() if k.startswith(_SCORES)}
    scores = collaborative.from_arrays(settings.collaborative, mine)
    attributes, contexts = ((arrays[f"{k}s"], tuple(rest[f"{k}_names"])) for k in ("attribute", "context"))
    return Learned(settings, rest["text_dim"], *attributes, scores, *contexts, rest["sequence_dim"],
                   rest["vector_dims"], rest["reading_dim"], rest["profile_dim"], tuple(rest["event_kinds"]),
                   rest["relations"], arrays["user_attributes"], tuple(rest["user_attribute_names"]))  # fmt: skip
