"""Cells of a study spread over a Ray cluster; in this process where none is connected."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import ray

T = TypeVar("T")


def spread(
    cell: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    common: tuple[Any, ...] = (),
    done: Callable[[int], None] = lambda n: None,
) -> list[T]:
    """`cell(*common, *a)` for each `a`, in order. A cell takes one CPU; a lost worker's cell is run again.

    `common` goes to the cluster once; `done` is told how many cells are finished, after each.
    """
    if not ray.is_initialized():
        return [_told(cell(*common, *a), n, done) for n, a in enumerate(arguments, 1)]
    task, sent = ray.remote(num_cpus=1, max_retries=3)(cell), [ray.put(c) for c in common]
    running = [task.remote(*sent, *a) for a in arguments]
    left = running
    while left:
        _, left = ray.wait(left)
        done(len(running) - len(left))
    found: list[T] = ray.get(running)
    return found


def _told(value: T, n: int, done: Callable[[int], None]) -> T:
    done(n)
    return value
