"""Blocks of queries answered through Ray Data; in this process without a cluster, or where it is not worth the way.

Both ways give the same, to the bit on processors alike: the blocks are the same, and each is answered on one thread.
"""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy.typing as npt
import ray

from llmrec.evaluation.ranking.topk import in_order
from llmrec.tasks import data_context, live_nodes
from llmrec.threads import one_thread, one_torch_thread

logger = logging.getLogger(__name__)

#: One block's answer: every array has a row a query.
Columns = dict[str, npt.NDArray[Any]]
Answer = Callable[[slice], Columns]

#: Seconds of work left from which blocks go to the cluster: workers take about half of it to start and to load a model.
_WORTH_S = 20.0
#: Without a single block for so long, Ray Data gives up and this process goes on alone.
_PATIENCE_S = 600.0


class Work(Protocol):
    """Something that answers blocks of queries, in any process and from several threads."""

    @property
    def parts(self) -> Sequence[slice]:
        """The blocks, in order."""
        ...

    @property
    def threads(self) -> int:
        """How many blocks one process answers at a time."""
        ...

    def open(self) -> Answer:
        """What is done once in a process: loading a model, indexing a history."""
        ...


def deal(work: Work) -> Iterator[Columns]:
    """Each part's columns, in order of the parts, a few in memory at a time.

    The first block is answered here and timed. The rest goes to the cluster where that is long work and the cluster has
    more free CPUs than this process would use: never does it wait for a CPU that others hold. Where the cluster fails,
    this process answers what is left, so an error of the model itself is raised here.
    """
    with one_torch_thread():  # matrices are small, and the last bits would depend on how many threads there are
        yield from _deal(work, work.parts)


def _deal(work: Work, left: Sequence[slice]) -> Iterator[Columns]:
    if not left:
        return
    answer, started = work.open(), time.perf_counter()
    (first,) = in_order(answer, left[:1], 1)
    seconds, left = time.perf_counter() - started, left[1:]
    yield first
    if seconds * len(left) / work.threads > _WORTH_S and ray.is_initialized() and _free_cpus() > work.threads:
        done = 0
        try:
            for columns in over_cluster(work, left):
                yield columns
                done += 1
        except _cluster_errors() as error:
            logger.warning("evaluation: the cluster failed (%s); this process answers the rest", _cause(error))
        left = left[done:]
    yield from in_order(answer, left, work.threads)


def over_cluster(work: Work, parts: Sequence[slice]) -> Iterator[Columns]:
    """Each part's columns, in order, from a Ray Data dataset of the parts; a task takes one CPU.

    `work` goes to the object store once. A worker process opens it once and keeps the last one that it opened.
    """
    import ray.data  # takes seconds

    held = (uuid.uuid4().hex, ray.put(work))
    logger.info("evaluation: %d blocks over the cluster, %g CPUs free", len(parts), _free_cpus())
    with ray.data.DataContext.current(_context()):
        rows = [{"start": p.start, "stop": p.stop} for p in parts]
        answered = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _answer, batch_size=None, batch_format="numpy", fn_kwargs={"held": held}, num_cpus=1
        )
        yield from answered.iter_batches(batch_size=None, batch_format="numpy")


_OPEN: dict[str, Answer] = {}  # in a worker: the last work, opened


def _answer(batch: Columns, held: tuple[str, Any]) -> Columns:
    key, work = held
    (start,), (stop,) = batch["start"], batch["stop"]
    with one_thread("blas"), one_thread("openmp"), one_torch_thread():  # a task has one CPU
        if key not in _OPEN:
            _OPEN.clear()
            _OPEN[key] = _received(work).open()
        return _OPEN[key](slice(int(start), int(stop)))


def _received(work: Any) -> Work:
    """Ray Data would try for ever what Ray reports as its own failure, such as a module that a worker lacks."""
    try:
        found: Work = ray.get(work)
    except ray.exceptions.RaySystemError as error:
        raise RuntimeError(f"the work cannot be loaded: {error}") from error
    return found


def _context() -> Any:
    context = data_context()
    context.execution_options.preserve_order = True
    context.execution_no_progress_timeout_s = _PATIENCE_S
    return context


def _cluster_errors() -> tuple[type[Exception], ...]:
    from ray.data.exceptions import ExecutionTimeoutError

    return ray.exceptions.RayError, ExecutionTimeoutError


def _free_cpus() -> float:
    """CPUs that nobody holds."""
    real = sum(node.get("CPU", 0.0) for node in live_nodes())
    return min(real, float(ray.available_resources().get("CPU", 0.0)))


def _cause(error: Exception) -> str:
    """What a task raised, in one line."""
    cause = getattr(error, "cause", error)
    return f"{type(cause).__name__}: {next(iter(str(cause).splitlines()), '')}"
