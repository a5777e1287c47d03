"""A resumable loop as its workers see it, and as one process runs it without Ray."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmrec.files import read_bytes, write_bytes
from llmrec.workers.process_group import ProcessGroup

Metrics = dict[str, Any]
#: Called by every worker equally often, for it is a barrier; `dump`, what to go on from, is asked on rank 0 alone.
Report = Callable[[Metrics, Callable[[], bytes]], None]
#: `loop(settings, group, state, report)`, a module's own function; `state`: what was dumped last, or None.
Loop = Callable[[Any, ProcessGroup, bytes | None, Report], None]


@dataclass(frozen=True)
class TrainRun:
    """A run's folder and its name there: a run of the same name goes on from the last checkpoint."""

    folder: str  # URI that every node reads and writes
    name: str


def run_here(loop: Loop, settings: Any, run: TrainRun) -> bytes:
    """Run `loop` in this process; what was dumped last. Run again after a kill, it goes on from there."""
    uri = f"{run.folder}/{run.name}/progress.pt"
    loop(settings, ProcessGroup(), read_bytes(uri), lambda metrics, dump: write_bytes(uri, dump()))
    found = read_bytes(uri)
    if found is None:
        raise RuntimeError(f"{run.name}: the loop ended without a report, expected one at least")
    return found
