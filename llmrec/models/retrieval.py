"""The k best items of a retriever for each request: known before it, and not had before it."""

from collections.abc import Sequence

import numpy as np

from llmrec.models.base import Bools, Floats, Ints, Requests, Retriever
from llmrec.models.topk import top_k

#: Scores of a block of requests at a time.
_BLOCK = 512


def candidates(requests: Requests, exclude: Sequence[Ints] | None = None) -> Bools:
    """(Q, n_items): known before the request's time, and not in its history; `exclude`: further rows of each.

    Where what users had may come again (`exclude_seen` false) it is a candidate, save what a newcomer says to like.
    """
    data = requests.as_of.data
    allowed = data.known_from[None, :] < requests.times[:, None]
    asked, had = requests.histories.nonzero()
    if not data.exclude_seen:
        guests = requests.users[asked] == 0
        asked, had = asked[guests], had[guests]
    allowed[asked, had] = False
    for q, rows in enumerate(exclude or ()):
        allowed[q, rows] = False
    return allowed


def retrieve(
    model: Retriever, requests: Requests, k: int, exclude: Sequence[Ints] | None = None
) -> tuple[Ints, Floats]:
    """Rows (Q, k), best first, padded with −1, and scores (Q, k), padded with −inf."""
    data, rows, scores = requests.as_of.data, [np.empty((0, k), np.int64)], [np.empty((0, k), np.float32)]
    for start in range(0, len(requests), _BLOCK):
        some = np.arange(start, min(start + _BLOCK, len(requests)))
        part = requests.take(some)
        allowed = candidates(part, None if exclude is None else [exclude[int(q)] for q in some])
        found = top_k(model.retrieve_scores(part, allowed, k), k, data.user_hash[part.users], data.item_hash)
        rows.append(found[0])
        scores.append(found[1])
    return np.concatenate(rows), np.concatenate(scores)
