"""Where in an event's row of numbers each part of its reading lies."""

import hashlib
from itertools import pairwise

import numpy as np

from llmrec.reading.reading import INTENTS
from llmrec.reading.text.words import CATEGORIES

#: Buckets that free words are hashed into: attributes (name and value), topics and key phrases.
BUCKETS = 32
_WIDTHS = {
    "read": 1,  # 1: there is a reading
    "sentiment": 3,  # itself, probability of negative, of positive
    "intents": len(INTENTS),
    "spoken": len(CATEGORIES),  # whether the text speaks of the aspect
    "praised": len(CATEGORIES),  # how strongly it is praised, 0 to 1
    "blamed": len(CATEGORIES),
    "attributes": BUCKETS,
    "liked_attributes": BUCKETS,  # the same, times the sentiment
    "topics": BUCKETS,
}
#: Part of a row -> its place.
PLACES = {name: slice(a, b) for name, (a, b) in zip(
    _WIDTHS, pairwise(np.cumsum([0, *_WIDTHS.values()]).tolist()), strict=True
)}  # fmt: skip
WIDTH = sum(_WIDTHS.values())


def bucket(words: str) -> int:
    """Which of BUCKETS stands for these words, on every machine."""
    return hashlib.blake2b(words.encode(), digest_size=1).digest()[0] % BUCKETS
