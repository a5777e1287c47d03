"""Functions run as Ray tasks, each on one CPU; one after the other in this process where no cluster is connected."""

import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from functools import cache
from typing import Any, TypeVar

import ray

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds in which nothing begins or ends and no CPU is free, before it is an error.
PATIENCE_S = 300.0

#: Times that a task whose worker is lost is run again.
RETRIES = 3
_AT_ONCE = 32  # tasks that are started at least, where there are as many
_EVERY_S = 10.0  # between two lines of progress
_FAREWELL_S = 10.0


class StarvedError(RuntimeError):
    """Nothing runs for want of a CPU."""


def parallel_map(
    function: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    common: tuple[Any, ...] = (),
    done: Callable[[int], None] = lambda n: None,
    *,
    stage: str,
    local: bool = False,
) -> list[T]:
    """`function(*common, *a)` for each `a`, in order. A call takes one CPU; a lost worker's is run again.

    An error of a call is raised as it was, and ends those that still run. Raises StarvedError where nothing runs
    for want of a CPU, RuntimeError where workers are lost again and again.

    Args:
        common: goes to the cluster once; what `remote_value` gave is there already.
        done: told how many are finished, after each.
        stage: named in errors.
        local: in this process, whatever is connected.
    """
    if local or _alone():
        return [_told(function(*common, *a), n, done) for n, a in enumerate(arguments, 1)]
    sent = [c if isinstance(c, ray.ObjectRef) else ray.put(c) for c in common]
    found: list[T] = ray.get(_finished([(function, *sent, *a) for a in arguments], done, stage))
    return found


def remote_value(function: Callable[..., Any], *arguments: Any, stage: str, local: bool = False) -> Any:
    """`function(*arguments)` by one task: it stays in the cluster's memory, for `parallel_map` to be given.

    Raises what `parallel_map` raises.
    """
    if local or _alone():
        return function(*arguments)
    return _finished([(function, *arguments)], lambda n: None, stage)[0]


def gather(refs: Sequence[Any], stage: str) -> list[Any]:
    """The values of Ray's references. Raises StarvedError where nothing moves for want of a CPU."""
    pending = list(refs)
    while pending:
        _, pending = _moved(pending, stage, working=False)
    values: list[Any] = ray.get(list(refs))
    return values


def live_nodes() -> list[dict[str, float]]:
    """What each live node has. Of this machine its cores count: a local cluster may call two of them six."""
    here, nodes = ray.get_runtime_context().get_node_id(), list[dict[str, float]]()
    for node in ray.nodes():
        if node["Alive"]:
            found = dict(node["Resources"])
            if node["NodeID"] == here:
                found["CPU"] = min(found.get("CPU", 0.0), float(os.cpu_count() or 1))
            nodes.append(found)
    return nodes


def cluster_cpus() -> float:
    """CPUs of all live nodes; 0 where tasks run in this process."""
    return 0.0 if _alone() else sum(node.get("CPU", 0.0) for node in live_nodes())


def data_context() -> Any:
    """Ray Data's settings for a run of ours: silent, errors as they were raised."""
    import ray.data  # takes seconds

    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False  # ours count texts or queries, not blocks
    context.print_on_execution_start = False
    context.raise_original_map_exception = True
    return context


def progress(what: str, total: int) -> Callable[[int], None]:
    """A `done` for `parallel_map` that logs every ten seconds, and at the end where that took longer."""
    started = said = time.monotonic()

    def done(n: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said >= _EVERY_S or (n == total and now - started >= _EVERY_S):
            said = now
            logger.info("%s: %d of %d", what, n, total)

    return done


def _alone() -> bool:
    """Without a cluster, or in a task of one: tasks that wait for tasks could hold all CPUs, and wait for ever."""
    return not ray.is_initialized() or ray.get_runtime_context().worker.mode == ray.WORKER_MODE


def _told(value: T, n: int, done: Callable[[int], None]) -> T:
    done(n)
    return value


def _begun(function: Callable[..., T], *arguments: Any) -> Generator[T | None, None, None]:
    yield None  # it has a CPU: long work is so told from waiting for one
    yield function(*arguments)
    yield None  # it went well: nobody needs to fetch the value to know


_PARTS, _VALUE = 3, 1


@cache
def _remote() -> Any:
    return ray.remote(num_cpus=1, num_returns="streaming")(_begun)


def _start(function: Callable[..., Any], *arguments: Any) -> Any:
    """The generator of references to what `_begun` yields."""
    return _remote().options(name=function.__name__, max_retries=RETRIES).remote(function, *arguments)


def _finished(calls: Sequence[tuple[Any, ...]], done: Callable[[int], None], stage: str) -> list[Any]:
    """References to the values of `calls`, (function, *arguments), in order; the first error ends the other tasks."""
    values: list[Any] = [None] * len(calls)
    running: dict[int, tuple[int, Any, list[Any]]] = {}  # id of the task -> number, task, what came of it
    started = n_done = 0
    try:
        while n_done < len(calls):
            for number in range(started, min(len(calls), started + _room(len(running)))):
                task = _start(*calls[number])
                running[id(task)] = (number, task, [])
                started += 1
            working = any(refs for *_, refs in running.values())
            for task in _moved([task for _, task, _ in running.values()], stage, working)[0]:
                number, _, refs = running[id(task)]
                if _advanced(task, refs, stage):
                    values[number] = refs[_VALUE]
                    del running[id(task)]
                    done(n_done := n_done + 1)
    except BaseException:
        _end([task for _, task, _ in running.values()])
        raise
    return values


def _room(n_running: int) -> int:
    """How many more tasks to start: enough to keep every CPU busy, and to let a cluster grow."""
    return max(_AT_ONCE, 2 * int(ray.cluster_resources().get("CPU", 1))) - n_running


def _advanced(task: Any, refs: list[Any], stage: str) -> bool:
    """Whether the task is done; what is ready of it joins `refs`. Raises its error, which its last reference holds."""
    try:
        refs.append(next(task))
        return len(refs) == _PARTS
    except StopIteration:
        pass
    try:
        ray.get(refs[-1])
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise RuntimeError(
            f"{stage}: a task was lost with its worker {RETRIES + 1} times, expected to finish; was there too little "
            f"memory (`ray logs`, `ray memory`)? {_first_line(error)}"
        ) from None
    raise AssertionError("a task ended early, but without an error")


def _moved(pending: list[Any], stage: str, working: bool) -> tuple[list[Any], list[Any]]:
    """(ready, not ready); raises StarvedError where nothing is, none is at work, and no CPU is free."""
    ready, left = ray.wait(pending, timeout=PATIENCE_S, fetch_local=False)
    free = ray.available_resources().get("CPU", 0.0) if not ready else 1.0
    if not working and free < 1:
        raise StarvedError(
            f"no task of the {stage} stage has run for {PATIENCE_S:.0f} s: {free:g} of the cluster's "
            f"{ray.cluster_resources().get('CPU', 0.0):g} logical CPUs are free, expected at least 1; end what "
            "holds them (`ray status`, `ray list actors`) or add a node, and run again"
        )
    return ready, left


def _end(tasks: list[Any]) -> None:
    """Cancel, and give what runs a moment to stop: it should not write into what the caller cleans up."""
    for task in tasks:
        ray.cancel(task)
    for task in tasks:
        for _ in range(_PARTS):
            if not ray.wait([task], timeout=_FAREWELL_S / len(tasks), fetch_local=False)[0]:
                break
            next(task, None)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
