"""What a `History` stores: events in order, projected vectors, item columns; made from tables, grown, saved, loaded."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from llmrec import storage
from llmrec.config import FeaturesConfig
from llmrec.features.asof import Floats32, Ints
from llmrec.features.reduction import Reduction, Reductions, from_arrays, to_arrays
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
class HistoryData:
    """What is stored; everything else in a History follows from it. Events are in order of (time, event_order)."""

    user_ids: list[str]
    item_ids: list[str]
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
    def of_tables(cls, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None,
                  item_vectors: Floats32 | None, sequence_vectors: Floats32 | None, reductions: Reductions,
                  settings: FeaturesConfig) -> "HistoryData":  # fmt: skip
        """See `History.build`."""
        empty = np.zeros((reviews.num_rows, 0 if item_vectors is None else item_vectors.shape[1]), np.float32)
        vectors = empty if review_vectors is None else review_vectors
        sequences = np.zeros((reviews.num_rows, 0), np.float32) if sequence_vectors is None else sequence_vectors
        _check_rows("review_vectors", len(vectors), reviews.num_rows)
        _check_rows("sequence_vectors", len(sequences), reviews.num_rows)
        order = event_sort(reviews)
        reviews, vectors, reduction = reviews.take(order), vectors[order], reductions.get(TEXT)
        users, mentioned = reviews[C.USER_ID].to_pylist(), reviews[C.ITEM_ID].to_pylist()
        user_ids = ["", *sorted(set(users) - {""})]
        item_ids = ["", *sorted((set(mentioned) | set(items[C.ITEM_ID].to_pylist())) - {""})]
        return cls(
            user_ids=user_ids,
            item_ids=item_ids,
            times=reviews[C.TIMESTAMP].to_numpy(),
            event_order=reviews[C.EVENT_ORDER].to_numpy(),
            user_rows=pd.Index(user_ids).get_indexer(users).astype(np.int64),
            item_rows=pd.Index(item_ids).get_indexer(mentioned).astype(np.int64),
            stars=reviews[C.STARS].to_pandas().to_numpy(np.float32),
            vectors=_with_presence(vectors, reduction),
            sequences=_reduced(sequences[order], reductions.get(SEQUENCE)),
            settings=settings,
            reductions=reductions,
            **_context_arrays(reviews, tuple(n for n in reviews.column_names if n.startswith(CONTEXT_PREFIX))),
            **_item_arrays(items, pd.Index(item_ids), item_vectors, vectors.shape[1], reduction),
            **_vector_arrays(items, pd.Index(item_ids), reductions),
        )

    def appended(self, reviews: pa.Table, review_vectors: Floats32 | None,
                 sequence_vectors: Floats32 | None) -> "HistoryData":  # fmt: skip
        """See `History.appended`."""
        reduction, n = self.reductions.get(SEQUENCE), reviews.num_rows
        vectors = _given(review_vectors, n, self.text_reduction, self.vectors.shape[1] - 1)
        sequences = _given(sequence_vectors, n, reduction, self.sequences.shape[1])
        _check_rows("review_vectors", len(vectors), n)
        _check_rows("sequence_vectors", len(sequences), n)
        users, items = reviews[C.USER_ID].to_pylist(), reviews[C.ITEM_ID].to_pylist()
        user_ids = [*self.user_ids, *sorted(set(users) - set(self.user_ids))]
        item_ids = [*self.item_ids, *sorted(set(items) - set(self.item_ids))]
        said = _context_arrays(reviews, self.context_columns)
        more = {
            "contexts": said["contexts"],
            "times": reviews[C.TIMESTAMP].to_numpy(),
            "event_order": reviews[C.EVENT_ORDER].to_numpy(),
            "user_rows": pd.Index(user_ids).get_indexer(users).astype(np.int64),
            "item_rows": pd.Index(item_ids).get_indexer(items).astype(np.int64),
            "stars": reviews[C.STARS].to_pandas().to_numpy(np.float32),
            "vectors": _with_presence(vectors, self.text_reduction),
            "sequences": _reduced(sequences, reduction),
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
                "user_ids": self.user_ids,
                "item_ids": self.item_ids,
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
        rest["context_columns"] = tuple(rest["context_columns"])
        return cls(**arrays, **rest, settings=settings, reductions=from_arrays(fitted))


def event_sort(reviews: pa.Table) -> Ints:
    """(E,) positions that put reviews in order of (timestamp, event_order)."""
    order: Ints = np.lexsort((reviews[C.EVENT_ORDER].to_numpy(), reviews[C.TIMESTAMP].to_numpy()))
    return order


def _check_rows(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"{name}: found {found} rows, expected {expected}, one a row of the table it belongs to")


def _given(vectors: Floats32 | None, n: int, reduction: Reduction | None, dim: int) -> Floats32:
    """The encoder's vectors, or n absent ones; `dim` is theirs where nothing reduces them."""
    absent = np.zeros((n, reduction.input_dim if reduction else dim), np.float32)
    return absent if vectors is None else vectors


def _reduced(vectors: Floats32, reduction: Reduction | None) -> Floats32:
    return vectors if reduction is None else reduction(vectors, "review")


def _with_presence(vectors: Floats32, reduction: Reduction | None) -> Floats32:
    present = vectors.any(axis=1, keepdims=True).astype(np.float32)
    return np.concatenate([_reduced(vectors, reduction), present], axis=1).astype(np.float32)


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


def _item_arrays(items: pa.Table, index: pd.Index, vectors: Floats32 | None, dim: int,
                 reduction: Reduction | None) -> dict[str, Any]:  # fmt: skip
    """Item columns spread over the history's rows."""
    n, where = len(index), index.get_indexer(items[C.ITEM_ID].to_pylist())
    if vectors is not None:
        _check_rows("item_vectors", len(vectors), items.num_rows)
    width = dim if reduction is None else reduction.dim
    arrays: dict[str, Any] = {
        "available_from": np.full(n, NEVER),
        "description": np.zeros((n, width), np.float32),
        "price": np.full(n, np.nan, np.float32),
        "attributes": np.zeros((n, 1 + MAX_CATEGORIES), np.int64),
    }
    arrays["available_from"][where] = items[C.AVAILABLE_FROM].fill_null(NEVER).to_numpy()
    arrays["price"][where] = items[C.PRICE].to_pandas().to_numpy(np.float32)
    if vectors is not None:
        arrays["description"][where] = vectors if reduction is None else reduction(vectors, "item")
    arrays["attribute_names"] = _fill_attributes(arrays["attributes"], where, items)
    return arrays


def _vector_arrays(items: pa.Table, index: pd.Index, reductions: Reductions) -> dict[str, Any]:
    """The items' vector columns, reduced where they have a reduction, spread over the history's rows."""
    where = index.get_indexer(items[C.ITEM_ID].to_pylist())
    columns = vector_columns(items)
    reduced = {k: reductions[k](v, "item") if k in reductions else v for k, v in columns.items()}
    spread = np.zeros((len(index), sum(v.shape[1] for v in reduced.values())), np.float32)
    spread[where] = np.concatenate([np.zeros((len(where), 0)), *reduced.values()], axis=1)
    return {"vectors_of_items": spread, "vector_dims": {k: v.shape[1] for k, v in reduced.items()}}


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
