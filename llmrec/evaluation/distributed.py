"""Cells of a study spread over a Ray cluster; in this process where none is connected."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ray

T = TypeVar("T")


def spread(cell: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """`cell(*a)` for each `a`, in order. A cell takes one CPU; a lost worker's cell is run again."""
    if not ray.is_initialized():
        return [cell(*a) for a in arguments]
    task = ray.remote(num_cpus=1, max_retries=3)(cell)
    found: list[T] = ray.get([task.remote(*a) for a in arguments])
    return found
