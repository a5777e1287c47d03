"""The k best items of a retriever for each request: known before it, and not had before it."""

from collections.abc import Sequence

import numpy as np

from llmrec.features.asof.item_sets import ItemSet
from llmrec.models.base import Bools, Floats, Ints, Requests, Retriever
from llmrec.models.topk import top_k

#: Scores of a block of requests at a time.
_BLOCK = 512


def barred(requests: Requests, exclude: Sequence[Ints] | None = None) -> list[Ints]:
    """Rows that each request may not be given, whatever is known: what is in its history, and those of `exclude`.

    Where what users had may come again (`exclude_seen` false) it is not barred, save what a newcomer says to like.
    """
    had, again = requests.histories, not requests.as_of.data.exclude_seen
    found = []
    for q, user in enumerate(requests.users):
        mine = had.indices[had.indptr[q] : had.indptr[q + 1]][: 0 if again and user else None]
        found.append(np.concatenate([mine, np.zeros(0, np.int64) if exclude is None else exclude[q]]).astype(np.int64))
    return found


def candidates(requests: Requests, exclude: Sequence[Ints] | None = None, among: ItemSet | None = None) -> Bools:
    """(Q, n_items): known before the request's time, or in the set `among`, and not barred."""
    if among is None:
        allowed = requests.as_of.data.known_from[None, :] < requests.times[:, None]
    else:
        allowed = np.repeat(among.held[None, : requests.as_of.data.n_items], len(requests), axis=0)
    for q, rows in enumerate(barred(requests, exclude)):
        allowed[q, rows] = False
    return allowed


def retrieve(
    model: Retriever, requests: Requests, k: int, exclude: Sequence[Ints] | None = None, among: ItemSet | None = None
) -> tuple[Ints, Floats]:
    """Rows (Q, k), best first, padded with −1, and scores (Q, k), padded with −inf.

    `among`: the items that all of the requests may be given; None: those known before each one's time.
    """
    if among is not None:
        searched = model.search(requests, among, barred(requests, exclude), k)
        if searched is not None:
            return searched
    data, rows, scores = requests.as_of.data, [np.empty((0, k), np.int64)], [np.empty((0, k), np.float32)]
    for start in range(0, len(requests), _BLOCK):
        some = np.arange(start, min(start + _BLOCK, len(requests)))
        part = requests.take(some)
        allowed = candidates(part, None if exclude is None else [exclude[int(q)] for q in some], among)
        found = top_k(model.retrieve_scores(part, allowed), k, data.user_hash[part.users], data.item_hash)
        rows.append(found[0])
        scores.append(found[1])
    return np.concatenate(rows), np.concatenate(scores)
