"""What a retriever makes of all items at a moment, made once and kept."""

from collections.abc import Callable
from threading import Condition
from typing import Protocol, TypeVar

import cachetools
import numpy as np

from llmrec.models.base import Ints

#: Memory for what one function has made of past moments, in bytes.
CACHE_BYTES = 256 << 20


class Sized(Protocol):
    """What says how much memory it takes, in bytes."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


def by_moment(moments: Ints) -> list[tuple[int, Ints]]:
    """Each moment of (Q,), with the places where it stands."""
    return [(int(moment), np.flatnonzero(moments == moment)) for moment in np.unique(moments)]


def cached(make: Callable[[int], T]) -> Callable[[int], T]:
    """The latest values of a function of time, at least one; the least recently used goes first. Safe among threads."""
    cache: cachetools.LRUCache[int, T] = cachetools.LRUCache(CACHE_BYTES, lambda made: min(made.nbytes, CACHE_BYTES))
    return cachetools.cached(cache, condition=Condition())(make)
