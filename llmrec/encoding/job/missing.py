"""What of a corpus the store does not hold, in files, and in which batches it is encoded. Without Ray."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.config import EncoderConfig
from llmrec.encoding.store.content_store import ContentStore
from llmrec.encoding.store.keys import keys_array
from llmrec.encoding.texts.corpus_texts import Fragment, scan
from llmrec.schema import Column as C
from llmrec.shuffle_files import read_batches, read_range, write_batches, write_ranges

#: A batch of the encoder is made of so many grains, or, towards the end, in fewer.
GRAINS = 4
_MAX_PARTS = 256
_MAX_ITEMS = 128  # about: what Ray Data keeps of each item of work stays in the driver

Run = dict[str, Any]  # `uri` of a file, and its grains from `first` to `last` - 1


@dataclass(frozen=True)
class Missing:
    """What one part of the keys lacks: `n_grains` batches in a scratch file; `sums` over all its texts."""

    uri: str
    n_grains: int
    sums: dict[str, int]


def n_parts(n_rows: int, batch_texts: int, width: int) -> int:
    """Into how many parts the keys, in shards of `width` hex digits, are cut."""
    parts: int = max(1, min(16**width, _MAX_PARTS, -(-n_rows // batch_texts)))
    return parts


def shuffle_fragment(
    fragment: Fragment, config: EncoderConfig, fingerprint: str, width: int, target: str, laid: str, parts: int
) -> None:
    """Lay the texts of one fragment out by part of the keys."""
    texts = pa.concat_tables(scan(fragment, config, fingerprint, width, target))
    shards = texts.column("shard").to_numpy().astype(np.int64)
    write_ranges(laid, texts.drop_columns(["shard"]), shards * parts // 16**width, parts)


def find_missing(store: ContentStore, laid: Sequence[str], part: int, target: str, rows: int) -> Missing:
    """Write what the store lacks of one part to `target`, in grains of so many rows."""
    texts, sums = drop_known(read_range(laid, part), store)
    starts = range(0, len(texts), rows)
    if starts:
        write_batches(target, texts.schema, (texts.slice(start, rows) for start in starts))
    return Missing(target, len(starts), sums)


def drop_known(texts: pa.Table, store: ContentStore) -> tuple[pa.Table, dict[str, int]]:
    """(key and text of each text, once, that the store does not hold; sums over all of them)."""
    keys, first = np.unique(np.array(texts.column(C.KEY).to_pylist(), dtype=str), return_index=True)
    known = np.zeros(len(keys), np.bool_)
    sums = {"unique": len(keys), "hits": 0, C.N_TOKENS: 0, C.N_UNKNOWN: 0}
    for rows, table in store.lookup(keys_array(keys.tolist()), columns=[C.N_TOKENS, C.N_UNKNOWN]):
        known[rows] = True
        for name in (C.N_TOKENS, C.N_UNKNOWN):
            sums[name] += int(table.column(name).to_numpy().sum())
    sums["hits"] = int(known.sum())
    return texts.select([C.KEY, C.TEXT]).take(pa.array(first[~known])), sums


def schedule_batches(parts: Sequence[Missing], actors: int) -> list[dict[str, list[Run]]]:
    """Items of work, each of some runs of grains: whole batches, or several; towards the end less and less at a time.

    Guided self-scheduling (Polychronopoulos and Kuck 1987): no item is more than half of an actor's share of what is
    left, so that the actors end together.
    """
    left = sum(part.n_grains for part in parts)
    longest = GRAINS * math.ceil(left / GRAINS / max(_MAX_ITEMS, 4 * actors))
    items: list[dict[str, list[Run]]] = []
    room = 0
    for part in parts:
        at = 0
        while at < part.n_grains:
            if not room:
                room = max(1, min(longest, left // (2 * actors)))
                items.append({"runs": []})
            n = min(part.n_grains - at, room)
            items[-1]["runs"].append({"uri": part.uri, "first": at, "last": at + n})
            at, left, room = at + n, left - n, room - n
    return items


def batches(runs: Sequence[Run]) -> Iterator[pa.Table]:
    """(key, text) batches of an item of `schedule_batches`, GRAINS grains each, the last one maybe fewer."""
    grains = chain.from_iterable(read_batches(run["uri"], run["first"], run["last"]) for run in runs)
    while some := list(islice(grains, GRAINS)):
        yield pa.Table.from_batches(some)
