"""Behaviour as text: what a user had had when they wrote a review, told by the titles of those items."""

from collections import defaultdict, deque
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llmrec.encoding.texts.templates import sequence_text
from llmrec.files import filesystem
from llmrec.schema import ITEMS
from llmrec.schema import Column as C

_TITLES = pa.schema([ITEMS.field(C.ITEM_ID), ITEMS.field(C.TITLE)])


def sequence_texts(user_ids: Sequence[str], titles: Sequence[str | None], length: int) -> list[str]:
    """(E,) text of each event: the titles of its user's last `length` items up to and including it, oldest first.

    Args:
        user_ids, titles: (E,) of events in order of events; no title: the item is passed over, but counts as one.
    """
    past: defaultdict[str, deque[str | None]] = defaultdict(lambda: deque(maxlen=length))
    texts = []
    for user, title in zip(user_ids, titles, strict=True):
        past[user].append(title)
        texts.append(sequence_text(past[user]))
    return texts


def sequences_of(uri: str, start: int, end: int, item_uris: Sequence[str], length: int) -> tuple[list[str], list[str]]:
    """Ids and sequence texts of the rows [start, end) of a part of `reviews`.

    A user's events all lie in one part, in order of events; titles are looked up in the parts of `items`.
    """
    fs, path = filesystem(uri)
    events = pq.read_table(path, filesystem=fs, columns=[C.REVIEW_ID, C.USER_ID, C.ITEM_ID], partitioning=None)[:end]
    titles = _titles(events[C.ITEM_ID], item_uris)
    kept = pc.is_in(events[C.USER_ID], value_set=events[C.USER_ID][start:].unique())
    before = pc.sum(kept[:start]).as_py() or 0
    users, shown = (pc.filter(column, kept).to_pylist() for column in (events[C.USER_ID], titles))
    return events[C.REVIEW_ID][start:].to_pylist(), sequence_texts(users, shown, length)[before:]


def _titles(items: pa.ChunkedArray, item_uris: Sequence[str]) -> pa.ChunkedArray:
    """(E,) title of each item, null where it has none; holds the titles asked for and one part of `items` at a time."""
    wanted = items.unique()
    parts = [_TITLES.empty_table()]
    for uri in item_uris:
        fs, path = filesystem(uri)
        table = pq.read_table(path, filesystem=fs, columns=_TITLES.names, schema=ITEMS, partitioning=None)
        parts.append(table.filter(pc.is_in(table[C.ITEM_ID], value_set=wanted)))
    known = pa.concat_tables(parts)
    return known[C.TITLE].take(pc.index_in(items, value_set=known[C.ITEM_ID]))
