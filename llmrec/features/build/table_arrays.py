"""From tables `reviews` and `items` to the arrays of a `HistoryData`: ids as rows, brands and contexts as hashes."""

from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints
from llmrec.features.asof.events import NEVER
from llmrec.features.asof.history_data import MAX_CATEGORIES, attribute_hash
from llmrec.features.asof.ids import Ids
from llmrec.schema import CONTEXT_PREFIX
from llmrec.schema import Column as C


def event_arrays(reviews: pa.Table, user_ids: Ids, item_ids: Ids) -> dict[str, Any]:
    """What events are, without what was said in them."""
    return {
        "times": reviews[C.TIMESTAMP].to_numpy(),
        "event_order": reviews[C.EVENT_ORDER].to_numpy(),
        "user_rows": user_ids.rows_of(reviews[C.USER_ID]),
        "item_rows": item_ids.rows_of(reviews[C.ITEM_ID]),
        "stars": reviews[C.STARS].to_pandas().to_numpy(np.float32),
        "outcomes": reviews[C.OUTCOME].to_numpy() if C.OUTCOME in reviews.column_names else np.ones(len(reviews), bool),
    }


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


def item_arrays(items: pa.Table, where: Ints, n: int, first: tuple[Ints, Ints]) -> dict[str, Any]:
    """Item columns spread over the history's `n` rows; row k of the table lies at `where[k]`.

    `first`: rows, and ms of the first event beside the reviews of each, from which an item is known at the latest.
    """
    arrays: dict[str, Any] = {
        "available_from": np.full(n, NEVER),
        "available_until": np.full(n, NEVER),
        "price": np.full(n, np.nan, np.float32),
        "attributes": np.zeros((n, 1 + MAX_CATEGORIES), np.int64),
    }
    arrays["available_from"][where] = items[C.AVAILABLE_FROM].fill_null(NEVER).to_numpy()
    arrays["available_until"][where] = items[C.AVAILABLE_UNTIL].fill_null(NEVER).to_numpy()
    np.minimum.at(arrays["available_from"], *first)
    arrays["price"][where] = items[C.PRICE].to_pandas().to_numpy(np.float32)
    arrays["attribute_names"] = _fill_attributes(arrays["attributes"], where, items)
    return arrays


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
