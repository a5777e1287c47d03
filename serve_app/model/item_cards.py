"""What people want to see of an item: its title, and what else the bundle knows."""

import numpy as np

from llmrec.bundle import Bundle
from llmrec.schema import Column as C
from serve_app.messages import ItemCard


def item_cards(bundle: Bundle, ids: list[str]) -> list[ItemCard]:
    """Of the items `ids`, in order; of one that is not known its id alone."""
    rows = bundle.history.item_rows(ids) if ids else np.zeros(0, np.int64)
    counts = bundle.history.item_counts(rows, np.full(len(rows), bundle.last_time, np.int64)).count
    return [
        _card(bundle, item_id, int(row), int(n)) if row else ItemCard(item_id, item_id)
        for item_id, row, n in zip(ids, rows, counts, strict=True)
    ]


def _card(bundle: Bundle, item_id: str, row: int, reviews: int) -> ItemCard:
    price = float(bundle.history.data.price[row])
    known = _texts(bundle, row)
    lines = known.get(C.CATEGORIES, "").split("\n")
    return ItemCard(
        item_id, known.get(C.TITLE) or item_id, known.get(C.BRAND), tuple(line for line in lines if line),
        None if np.isnan(price) else round(price, 2), known.get(C.DESCRIPTION), reviews,
    )  # fmt: skip


def _texts(bundle: Bundle, row: int) -> dict[str, str]:
    """Field -> text; where the bundle holds no texts, brand and categories as the features know them."""
    if bundle.search is not None and row < bundle.search.texts.table.num_rows:  # an item that joined lately is in none
        return bundle.search.texts.fields(row)
    data = bundle.history.data
    named = [data.attribute_names.get(int(code), "").partition("=") for code in data.attributes[row] if code]
    said = {kind: "\n".join(value for k, _, value in named if k == kind) for kind in ("brand", "category")}
    return {C.BRAND: said["brand"], C.CATEGORIES: said["category"]}
