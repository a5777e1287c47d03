"""The numbers of a `History`: events in order, item columns; made from tables, grown, saved, and mapped from files."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec import files
from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints, map_array, read_arrays, write_array, write_arrays
from llmrec.features.asof.ids import Ids
from llmrec.features.families.item_vectors import vector_columns
from llmrec.features.transforms.reduction import (
    Reduction,
    Reductions,
    from_arrays,
    reduce_vectors,
    to_arrays,
    with_presence,
)
from llmrec.schema import CONTEXT_PREFIX
from llmrec.schema import Column as C

#: Categories kept per item, in the corpus's order; with the brand they are the item's attributes.
MAX_CATEGORIES = 8
#: The reductions of reviews and items, and of sequences.
TEXT, SEQUENCE = "text", "sequence"
#: `available_from` of an item that is known from its first event only.
NEVER = np.iinfo(np.int64).max
#: What stands in the item columns for an item without metadata.
_UNKNOWN_ITEM = {"available_from": NEVER, "description": 0, "price": np.nan, "attributes": 0, "vectors_of_items": 0}
_EVENTS = ("times", "event_order", "user_rows", "item_rows", "stars", "contexts")
_ITEMS = ("available_from", "price", "attributes")
_VECTORS = ("description", "vectors_of_items")
_USER_IDS, _ITEM_IDS, _NAMES, _REST, _REDUCTIONS = (
    "user_ids.arrow", "item_ids.arrow", "names.json", "history.json", "reductions.safetensors",
)  # fmt: skip


@dataclass(frozen=True)
class ReducedVectors:
    """All that came from an encoder or with the items, brought down; a row for each row of its table."""

    reviews: Floats32  # (n_reviews, D + 1): the vector, then 1 where there is a text
    sequences: Floats32  # (n_reviews, S)
    items: Floats32  # (n_items, D)
    columns: dict[str, Floats32]  # `vector_NAME` -> (n_items, its width)

    @classmethod
    def of(cls, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None, item_vectors: Floats32 | None,
           sequence_vectors: Floats32 | None, reductions: Reductions) -> "ReducedVectors":  # fmt: skip
        """From the vectors as they came, all in memory; see `History.build`."""
        dim = 0 if item_vectors is None else item_vectors.shape[1]
        dim = dim if review_vectors is None else review_vectors.shape[1]
        vectors = _given(review_vectors, reviews.num_rows, None, dim)
        described = _given(item_vectors, items.num_rows, None, dim)
        sequences = _given(sequence_vectors, reviews.num_rows, None, 0)
        for name, found, table in (
            ("review_vectors", vectors, reviews),
            ("item_vectors", described, items),
            ("sequence_vectors", sequences, reviews),
        ):
            _check_rows(name, len(found), table.num_rows)
        text = reductions.get(TEXT)
        columns = {k: reduce_vectors(v, reductions.get(k), "item") for k, v in vector_columns(items).items()}
        return cls(with_presence(vectors, text), reduce_vectors(sequences, reductions.get(SEQUENCE)),
                   reduce_vectors(described, text, "item"), columns)  # fmt: skip


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
    context_columns: tuple[str, ...]
    context_names: dict[int, str]
    available_from: Ints  # (n_items + 1,) ms; the largest int64 where known from the first event only
    price: Floats32  # (n_items + 1,) NaN where unknown
    attributes: Ints  # (n_items + 1, 1 + MAX_CATEGORIES) hashes, 0 where none
    attribute_names: dict[int, str]
    settings: FeaturesConfig
    description: Floats32  # (n_items + 1, D)
    vectors_of_items: Floats32  # (n_items + 1, M) reduced vector columns side by side, zero where an item has none
    vector_dims: dict[str, int] = field(default_factory=dict)  # width of each of them
    reductions: Reductions = field(default_factory=dict)

    @property
    def text_reduction(self) -> Reduction | None:
        """What reduces the encoder's vectors; None: they are kept as they are."""
        return self.reductions.get(TEXT)

    @classmethod
    def of_tables(cls, reviews: pa.Table, items: pa.Table, settings: FeaturesConfig) -> "HistoryData":
        """From tables, `reviews` in order of events; without any vectors."""
        user_ids = Ids.of(reviews[C.USER_ID])
        item_ids = Ids.of(reviews[C.ITEM_ID], items[C.ITEM_ID])
        columns = tuple(n for n in reviews.column_names if n.startswith(CONTEXT_PREFIX))
        events = event_arrays(reviews, user_ids, item_ids) | context_arrays(reviews, columns)
        return cls.of_events(events, user_ids, item_ids, items, settings)

    @classmethod
    def of_events(cls, events: dict[str, Any], user_ids: Ids, item_ids: Ids, items: pa.Table,
                  settings: FeaturesConfig) -> "HistoryData":  # fmt: skip
        """From what `event_arrays` and `context_arrays` make, in order of events."""
        n = len(item_ids)
        nothing: dict[str, Any] = {name: np.zeros((n, 0), np.float32) for name in ("description", "vectors_of_items")}
        known = _item_arrays(items, item_ids.rows_of(items[C.ITEM_ID]), n)
        return cls(user_ids=user_ids, item_ids=item_ids, settings=settings, **events, **known, **nothing)

    def described(self, items: pa.Table, vectors: ReducedVectors, reductions: Reductions) -> "HistoryData":
        """With what is said and shown of the rows of `items`, and with what reduced it."""
        where, n = self.item_ids.rows_of(items[C.ITEM_ID]), len(self.item_ids)
        described = scatter_rows(vectors.items, where, n)
        columns = scatter_rows(side_by_side(vectors.columns, len(where)), where, n)
        dims = {name: values.shape[1] for name, values in vectors.columns.items()}
        return replace(self, description=described, vectors_of_items=columns, vector_dims=dims, reductions=reductions)

    def appended(self, reviews: pa.Table) -> tuple["HistoryData", Ints]:
        """With more events; and where, among the old events and the new ones behind them, each event is from."""
        user_ids, item_ids = self.user_ids.and_new(reviews[C.USER_ID]), self.item_ids.and_new(reviews[C.ITEM_ID])
        said = context_arrays(reviews, self.context_columns)
        more = event_arrays(reviews, user_ids, item_ids) | {"contexts": said["contexts"]}
        both = {name: np.concatenate([getattr(self, name), values]) for name, values in more.items()}
        order = np.lexsort((both["event_order"], both["times"]))
        new_items = len(item_ids) - len(self.item_ids)
        filled = {name: _extended(getattr(self, name), new_items, fill) for name, fill in _UNKNOWN_ITEM.items()}
        changed: dict[str, Any] = {name: values[order] for name, values in both.items()} | filled
        names = self.context_names | said["context_names"]
        return replace(self, user_ids=user_ids, item_ids=item_ids, context_names=names, **changed), order

    def save(self, folder_uri: str) -> None:
        """Write all of it below the folder."""
        self.save_numbers(folder_uri)
        save_vectors(folder_uri, self.settings, self.description, self.vectors_of_items, self.vector_dims,
                     self.reductions)  # fmt: skip

    def save_numbers(self, folder_uri: str) -> None:
        """Write what has nothing to do with vectors."""
        for name in (*_EVENTS, *_ITEMS):
            write_array(f"{folder_uri}/{name}.npy", getattr(self, name))
        self.user_ids.save(f"{folder_uri}/{_USER_IDS}")
        self.item_ids.save(f"{folder_uri}/{_ITEM_IDS}")
        names = {
            "attribute_names": {str(k): v for k, v in self.attribute_names.items()},
            "context_names": {str(k): v for k, v in self.context_names.items()},
            "context_columns": self.context_columns,
        }
        files.write_json(f"{folder_uri}/{_NAMES}", names)

    @classmethod
    def load(cls, folder_uri: str) -> "HistoryData":
        """What `save` wrote; arrays are mapped. Raises FileNotFoundError where it is not there."""
        names, rest = files.read_json(f"{folder_uri}/{_NAMES}"), files.read_json(f"{folder_uri}/{_REST}")
        if names is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_NAMES} and {_REST}, found them missing; run featurize")
        wanted = (*_EVENTS, *_ITEMS, *_VECTORS)
        arrays: dict[str, Any] = {name: map_array(f"{folder_uri}/{name}.npy") for name in wanted}
        names |= {k: {int(n): v for n, v in names[k].items()} for k in ("attribute_names", "context_names")}
        names["context_columns"] = tuple(names["context_columns"])
        settings = FeaturesConfig.model_validate(rest.pop("settings"))
        reductions = from_arrays(read_arrays(f"{folder_uri}/{_REDUCTIONS}"))
        arrays |= {"user_ids": Ids.load(f"{folder_uri}/{_USER_IDS}"), "item_ids": Ids.load(f"{folder_uri}/{_ITEM_IDS}")}
        return cls(**arrays, **names, **rest, settings=settings, reductions=reductions)


def save_vectors(folder_uri: str, settings: FeaturesConfig, description: Floats32, vectors_of_items: Floats32,
                 vector_dims: dict[str, int], reductions: Reductions) -> None:  # fmt: skip
    """Write what `HistoryData.save_numbers` does not."""
    write_array(f"{folder_uri}/description.npy", description)
    write_array(f"{folder_uri}/vectors_of_items.npy", vectors_of_items)
    write_arrays(f"{folder_uri}/{_REDUCTIONS}", to_arrays(reductions))
    files.write_json(f"{folder_uri}/{_REST}", {"settings": settings.model_dump(), "vector_dims": vector_dims})


def reduced_events(data: HistoryData, n: int, vectors: Floats32 | None,
                   sequences: Floats32 | None) -> tuple[Floats32, Floats32]:  # fmt: skip
    """The encoder's vectors of n events as a history holds them: (n, D + 1) and (n, S); None: nothing was said."""
    found = []
    for name, kind, given, dim in (
        ("review_vectors", TEXT, vectors, data.description.shape[1]),
        ("sequence_vectors", SEQUENCE, sequences, 0),
    ):
        rows = _given(given, n, data.reductions.get(kind), dim)
        _check_rows(name, len(rows), n)
        found.append(rows)
    text, sequence = data.reductions.get(TEXT), data.reductions.get(SEQUENCE)
    return with_presence(found[0], text), reduce_vectors(found[1], sequence)


def event_sort(reviews: pa.Table) -> Ints:
    """(E,) positions that put reviews in order of (timestamp, event_order)."""
    order: Ints = np.lexsort((reviews[C.EVENT_ORDER].to_numpy(), reviews[C.TIMESTAMP].to_numpy()))
    return order


def event_arrays(reviews: pa.Table, user_ids: Ids, item_ids: Ids) -> dict[str, Any]:
    """What events are, without what was said in them."""
    return {
        "times": reviews[C.TIMESTAMP].to_numpy(),
        "event_order": reviews[C.EVENT_ORDER].to_numpy(),
        "user_rows": user_ids.rows_of(reviews[C.USER_ID]),
        "item_rows": item_ids.rows_of(reviews[C.ITEM_ID]),
        "stars": reviews[C.STARS].to_pandas().to_numpy(np.float32),
    }


def _check_rows(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"{name}: found {found} rows, expected {expected}, one a row of the table it belongs to")


def _given(vectors: Floats32 | None, n: int, reduction: Reduction | None, dim: int) -> Floats32:
    """The encoder's vectors, or n absent ones; `dim` is theirs where nothing reduces them."""
    absent = np.zeros((n, reduction.input_dim if reduction else dim), np.float32)
    return absent if vectors is None else vectors


def _extended(values: npt.NDArray[Any], n: int, fill: float) -> npt.NDArray[Any]:
    return np.concatenate([values, np.full((n, *values.shape[1:]), fill, values.dtype)])


def attribute_hash(kind: str, value: str) -> int:
    """A positive int64 that stands for `brand=...`, `category=...` or `context_NAME=...` on every machine."""
    digest = hashlib.sha256(f"{kind}\t{value}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


def context_arrays(reviews: pa.Table, columns: tuple[str, ...]) -> dict[str, Any]:
    """The reviews' context columns as hashes; a column that these reviews do not have is not given."""
    codes, names = np.zeros((reviews.num_rows, len(columns)), np.int64), dict[int, str]()
    for slot, column in enumerate(columns):
        if column in reviews.column_names:
            encoded = reviews[column].combine_chunks().dictionary_encode()
            values = encoded.dictionary.to_pylist()
            known = np.array([*(attribute_hash(column, value) for value in values), 0], np.int64)
            codes[:, slot] = known[encoded.indices.fill_null(len(values)).to_numpy()]
            shown = (f"{column.removeprefix(CONTEXT_PREFIX)}={value}" for value in values)
            names |= dict(zip(known[:-1].tolist(), shown, strict=True))
    return {"contexts": codes, "context_columns": columns, "context_names": names}


def _item_arrays(items: pa.Table, where: Ints, n: int) -> dict[str, Any]:
    """Item columns spread over the history's `n` rows; row k of the table lies at `where[k]`."""
    arrays: dict[str, Any] = {
        "available_from": np.full(n, NEVER),
        "price": np.full(n, np.nan, np.float32),
        "attributes": np.zeros((n, 1 + MAX_CATEGORIES), np.int64),
    }
    arrays["available_from"][where] = items[C.AVAILABLE_FROM].fill_null(NEVER).to_numpy()
    arrays["price"][where] = items[C.PRICE].to_pandas().to_numpy(np.float32)
    arrays["attribute_names"] = _fill_attributes(arrays["attributes"], where, items)
    return arrays


def scatter_rows(vectors: Floats32, where: Ints, n: int) -> Floats32:
    """(n, width) with row k of `vectors` at `where[k]`, zero elsewhere."""
    found = np.zeros((n, vectors.shape[1]), np.float32)
    found[where] = vectors
    return found


def side_by_side(columns: dict[str, Floats32], n: int) -> Floats32:
    """(n, M) of vector columns (n, width)."""
    return np.concatenate([np.zeros((n, 0), np.float32), *columns.values()], axis=1)


def _fill_attributes(attributes: Ints, where: Ints, items: pa.Table) -> dict[int, str]:
    names: dict[int, str] = {}
    codes: dict[tuple[str, str], int] = {}
    rows = zip(where, items[C.BRAND].to_pylist(), items[C.CATEGORIES].to_pylist(), strict=True)
    for row, brand, categories in rows:
        labels = [("brand", brand)] + [("category", c) for c in (categories or [])[:MAX_CATEGORIES]]
        for slot, (kind, value) in enumerate(labels):
            if not value:
                continue
            if (kind, value) not in codes:
                codes[kind, value] = attribute_hash(kind, value)
                names[codes[kind, value]] = f"{kind}={value}"
            attributes[row, slot] = codes[kind, value]
    return names
