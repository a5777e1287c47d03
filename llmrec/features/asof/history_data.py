"""The numbers of a `History`: events in order and item columns, in files that loading maps."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec import files
from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Bools, Floats32, Ints, map_array, write_array
from llmrec.features.asof.ids import Ids

#: Categories kept per item, in the corpus's order; with the brand they are the item's attributes.
MAX_CATEGORIES = 8
#: The reductions of reviews and items, of sequences, and of readings, which stay as they are.
TEXT, SEQUENCE, READING = "text", "sequence", "reading"
_EVENTS = ("times", "event_order", "user_rows", "item_rows", "stars", "contexts", "outcomes")
_ITEMS = ("available_from", "available_until", "price", "attributes")
_USERS = ("user_attributes",)
_VECTORS = ("description", "vectors_of_items")
_USER_IDS, _ITEM_IDS, _NAMES, _REST = "user_ids.arrow", "item_ids.arrow", "names.json", "history.json"


@dataclass(frozen=True)
class HistoryData:
    """Who, what and when, and what is known of items; events are in order of (time, event_order)."""

    user_ids: Ids
    item_ids: Ids
    times: Ints  # (E,) ms
    event_order: npt.NDArray[np.uint64]  # (E,)
    user_rows: Ints  # (E,)
    item_rows: Ints  # (E,)
    stars: Floats32  # (E,) NaN where there are none
    contexts: Ints  # (E, K) hashes of the columns `context_NAME`, 0 where none is given
    outcomes: Bools  # (E,) which of them are asked for: all, or the outcome's events among reviews
    context_columns: tuple[str, ...]
    context_names: dict[int, str]
    available_from: Ints  # (n_items + 1,) ms; NEVER where known from the first event only
    available_until: Ints  # (n_items + 1,) ms, from which on it is not listed; NEVER where nothing ends it
    price: Floats32  # (n_items + 1,) NaN where unknown
    attributes: Ints  # (n_items + 1, 1 + MAX_CATEGORIES) hashes, 0 where none
    attribute_names: dict[int, str]
    user_attributes: Ints  # (n_users + 1, A) hashes of the columns `attribute_NAME`, 0 where none is given
    user_attribute_names: dict[int, str]
    settings: FeaturesConfig
    description: Floats32  # (n_items + 1, D)
    vectors_of_items: Floats32  # (n_items + 1, M) reduced vector columns side by side, zero where an item has none
    vector_dims: dict[str, int] = field(default_factory=dict)  # width of each of them

    def save_numbers(self, folder_uri: str) -> None:
        """Write what has nothing to do with vectors."""
        for name in (*_EVENTS, *_ITEMS, *_USERS):
            write_array(f"{folder_uri}/{name}.npy", getattr(self, name))
        self.user_ids.save(f"{folder_uri}/{_USER_IDS}")
        self.item_ids.save(f"{folder_uri}/{_ITEM_IDS}")
        names = {
            "attribute_names": {str(k): v for k, v in self.attribute_names.items()},
            "user_attribute_names": {str(k): v for k, v in self.user_attribute_names.items()},
            "context_names": {str(k): v for k, v in self.context_names.items()},
            "context_columns": self.context_columns,
        }
        files.write_json(f"{folder_uri}/{_NAMES}", names)

    @classmethod
    def load(cls, folder_uri: str) -> "HistoryData":
        """What `save_numbers` and `save_vectors` wrote, mapped. Raises FileNotFoundError where it is not there."""
        names, rest = files.read_json(f"{folder_uri}/{_NAMES}"), files.read_json(f"{folder_uri}/{_REST}")
        if names is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_NAMES} and {_REST}, found them missing; run featurize")
        wanted = (*_EVENTS, *_ITEMS, *_USERS, *_VECTORS)
        arrays: dict[str, Any] = {name: map_array(f"{folder_uri}/{name}.npy") for name in wanted}
        coded = ("attribute_names", "user_attribute_names", "context_names")
        names |= {k: {int(n): v for n, v in names[k].items()} for k in coded}
        names["context_columns"] = tuple(names["context_columns"])
        settings = FeaturesConfig.model_validate(rest.pop("settings"))
        arrays |= {"user_ids": Ids.load(f"{folder_uri}/{_USER_IDS}"), "item_ids": Ids.load(f"{folder_uri}/{_ITEM_IDS}")}
        return cls(**arrays, **names, **rest, settings=settings)


def save_vectors(folder_uri: str, settings: FeaturesConfig, description: Floats32, vectors_of_items: Floats32,
                 vector_dims: dict[str, int]) -> None:  # fmt: skip
    """Write what `HistoryData.save_numbers` does not."""
    write_array(f"{folder_uri}/description.npy", description)
    write_array(f"{folder_uri}/vectors_of_items.npy", vectors_of_items)
    files.write_json(f"{folder_uri}/{_REST}", {"settings": settings.model_dump(), "vector_dims": vector_dims})


def attribute_hash(kind: str, value: str) -> int:
    """A positive int64 that stands for `brand=...`, `category=...` or `context_NAME=...` on every machine."""
    digest = hashlib.sha256(f"{kind}\t{value}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1
