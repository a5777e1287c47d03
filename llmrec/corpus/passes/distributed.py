"""Runs the room's tasks on Ray where a cluster is up, one after the other in this process where none is."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def run_all(function: Callable[..., T], calls: Sequence[tuple[Any, ...]], local: bool = False) -> Iterator[T]:
    """The results of `function(*call)` in the order they are ready; `local` keeps them in this process.

    A task that dies with its node runs again; an error of the function itself is raised here as it was.
    """
    ray = sys.modules.get("ray")
    if local or ray is None or not ray.is_initialized():
        yield from (function(*call) for call in calls)
        return
    task = ray.remote(function)
    waiting = list(calls)
    running: list[Any] = []
    limit = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))  # enough to keep every core busy
    while waiting or running:
        while waiting and len(running) < limit:
            running.append(task.remote(*waiting.pop(0)))
        ready, running = ray.wait(running)
        try:
            yield from ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
