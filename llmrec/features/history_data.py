"""What a `History` stores: events in order, projected vectors, item columns; made from tables, grown, saved, loaded."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from llmrec import storage
from llmrec.config import FeaturesConfig
from llmrec.features.asof import Floats32, Ints
from llmrec.features.ids import Ids
from llmrec.features.reduction import Reduction, Reductions, brought_down, from_arrays, to_arrays, with_presence
from llmrec.features.vectors import vector_columns
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
_REDUCTION = "reduction:"
_ARRAYS = "history.safetensors"
_REST = "history.json"


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
        columns = {k: brought_down(v, reductions.get(k), "item") for k, v in vector_columns(items).items()}
        return cls(with_presence(vectors, text), brought_down(sequences, reductions.get(SEQUENCE)),
                   brought_down(described, text, "item"), columns)  # fmt: skip


@dataclass(frozen=True)
class HistoryData:
    """What is stored; everything else in a History follows from it. Events are in order of (time, event_order)."""

    user_ids: Ids
    item_ids: Ids
    times: Ints  # (E,) ms
    event_order: npt.NDArray[np.uint64]  # (E,)
    user_rows: Ints  # (E,)
    item_rows: Ints  # (E,)
    stars: Floats32  # (E,) NaN where there are none
    vectors: Floats32  # (E, D + 1): the projected review vector, then 1 where there is a text
    contexts: Ints  # (E, K) hashes of the columns `context_NAME`, 0 where none is given
    context_columns: tuple[str, ...]
    context_names: dict[int, str]
    sequences: Floats32  # (E, S) the reduced vector of what the user had up to and including the event, as text
    available_from: Ints  # (n_items + 1,) ms; the largest int64 where known from the first event only
    description: Floats32  # (n_items + 1, D)
    price: Floats32  # (n_items + 1,) NaN where unknown
    attributes: Ints  # (n_items + 1, 1 + MAX_CATEGORIES) hashes, 0 where none
    attribute_names: dict[int, str]
    vectors_of_items: Floats32  # (n_items + 1, M) reduced vector columns side by side, zero where an item has none
    vector_dims: dict[str, int]  # width of each of them
    settings: FeaturesConfig
    reductions: Reductions = field(default_factory=dict)

    @property
    def text_reduction(self) -> Reduction | None:
        """What reduces the encoder's vectors; None: they are kept as they are."""
        return self.reductions.get(TEXT)

    @classmethod
    def of_tables(cls, reviews: pa.Table, items: pa.Table, vectors: ReducedVectors, reductions: Reductions,
                  settings: FeaturesConfig) -> "HistoryData":  # fmt: skip
        """From the tables and their vectors, row by row; see `History.build`."""
        order = event_sort(reviews)
        by_review, sequences = vectors.reviews, vectors.sequences
        if (np.diff(order) < 0).any():
            reviews, by_review, sequences = reviews.take(order), by_review[order], sequences[order]
        user_ids = Ids.of(reviews[C.USER_ID])
        item_ids = Ids.of(reviews[C.ITEM_ID], items[C.ITEM_ID])
        where = item_ids.rows_of(items[C.ITEM_ID])
        return cls(
            user_ids=user_ids,
            item_ids=item_ids,
            **_event_arrays(reviews, user_ids, item_ids),
            vectors=by_review,
            sequences=sequences,
            settings=settings,
            reductions=reductions,
            **_context_arrays(reviews, tuple(n for n in reviews.column_names if n.startswith(CONTEXT_PREFIX))),
            **_item_arrays(items, where, len(item_ids), vectors.items),
            **_vector_arrays(where, len(item_ids), vectors.columns),
        )

    def appended(self, reviews: pa.Table, review_vectors: Floats32 | None,
                 sequence_vectors: Floats32 | None) -> "HistoryData":  # fmt: skip
        """See `History.appended`."""
        reduction, n = self.reductions.get(SEQUENCE), reviews.num_rows
        vectors = _given(review_vectors, n, self.text_reduction, self.vectors.shape[1] - 1)
        sequences = _given(sequence_vectors, n, reduction, self.sequences.shape[1])
        _check_rows("review_vectors", len(vectors), n)
        _check_rows("sequence_vectors", len(sequences), n)
        user_ids, item_ids = self.user_ids.and_new(reviews[C.USER_ID]), self.item_ids.and_new(reviews[C.ITEM_ID])
        said = _context_arrays(reviews, self.context_columns)
        more = _event_arrays(reviews, user_ids, item_ids) | {
            "contexts": said["contexts"],
            "vectors": with_presence(vectors, self.text_reduction),
            "sequences": brought_down(sequences, reduction),
        }
        both = {name: np.concatenate([getattr(self, name), values]) for name, values in more.items()}
        order = np.lexsort((both["event_order"], both["times"]))
        new_items = len(item_ids) - len(self.item_ids)
        filled = {name: _extended(getattr(self, name), new_items, fill) for name, fill in _UNKNOWN_ITEM.items()}
        changed: dict[str, Any] = {name: values[order] for name, values in both.items()} | filled
        names = self.context_names | said["context_names"]
        return replace(self, user_ids=user_ids, item_ids=item_ids, context_names=names, **changed)

    def save(self, folder_uri: str) -> None:
        """Write the events and item tables; sums are rebuilt when loading."""
        arrays = {k: np.ascontiguousarray(v) for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        arrays |= {f"{_REDUCTION}{k}": np.ascontiguousarray(v) for k, v in to_arrays(self.reductions).items()}
        storage.write_bytes(f"{folder_uri}/{_ARRAYS}", save_tensors(arrays))
        storage.write_json(
            f"{folder_uri}/{_REST}",
            {
                "user_ids": list(self.user_ids),
                "item_ids": list(self.item_ids),
                "attribute_names": {str(k): v for k, v in self.attribute_names.items()},
                "context_names": {str(k): v for k, v in self.context_names.items()},
                "context_columns": self.context_columns,
                "vector_dims": self.vector_dims,
                "settings": self.settings.model_dump(),
            },
        )

    @classmethod
    def load(cls, folder_uri: str) -> "HistoryData":
        """What `save` wrote. Raises FileNotFoundError where it is not there."""
        raw, rest = storage.read_bytes(f"{folder_uri}/{_ARRAYS}"), storage.read_json(f"{folder_uri}/{_REST}")
        if raw is None or rest is None:
            raise FileNotFoundError(f"{folder_uri}: expected {_ARRAYS} and {_REST}, found them missing; run featurize")
        arrays: dict[str, Any] = load_tensors(raw)
        fitted = {k.removeprefix(_REDUCTION): arrays.pop(k) for k in list(arrays) if k.startswith(_REDUCTION)}
        settings = FeaturesConfig.model_validate(rest.pop("settings"))
        rest |= {k: {int(n): v for n, v in rest[k].items()} for k in ("attribute_names", "context_names")}
        rest |= {k: Ids(rest[k]) for k in ("user_ids", "item_ids")}
        rest["context_columns"] = tuple(rest["context_columns"])
        return cls(**arrays, **rest, settings=settings, reductions=from_arrays(fitted))


def event_sort(reviews: pa.Table) -> Ints:
    """(E,) positions that put reviews in order of (timestamp, event_order)."""
    order: Ints = np.lexsort((reviews[C.EVENT_ORDER].to_numpy(), reviews[C.TIMESTAMP].to_numpy()))
    return order


def _event_arrays(reviews: pa.Table, user_ids: Ids, item_ids: Ids) -> dict[str, Any]:
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


def _context_arrays(reviews: pa.Table, columns: tuple[str, ...]) -> dict[str, Any]:
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


def _item_arrays(items: pa.Table, where: Ints, n: int, vectors: Floats32) -> dict[str, Any]:
    """Item columns spread over the history's `n` rows; row k of the table lies at `where[k]`."""
    arrays: dict[str, Any] = {
        "available_from": np.full(n, NEVER),
        "description": np.zeros((n, vectors.shape[1]), np.float32),
        "price": np.full(n, np.nan, np.float32),
        "attributes": np.zeros((n, 1 + MAX_CATEGORIES), np.int64),
    }
    arrays["available_from"][where] = items[C.AVAILABLE_FROM].fill_null(NEVER).to_numpy()
    arrays["price"][where] = items[C.PRICE].to_pandas().to_numpy(np.float32)
    arrays["description"][where] = vectors
    arrays["attribute_names"] = _fill_attributes(arrays["attributes"], where, items)
    return arrays


def _vector_arrays(where: Ints, n: int, columns: dict[str, Floats32]) -> dict[str, Any]:
    """The items' vector columns side by side, spread over the history's `n` rows."""
    spread = np.zeros((n, sum(v.shape[1] for v in columns.values())), np.float32)
    spread[where] = np.concatenate([np.zeros((len(where), 0)), *columns.values()], axis=1)
    return {"vectors_of_items": spread, "vector_dims": {k: v.shape[1] for k, v in columns.items()}}


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
