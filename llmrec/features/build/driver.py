"""How the stage runs: waves of tasks over pieces and ranges that are the same on any cluster; the driver starts them.

One task puts the events in order and writes their numbers. Then vectors are summed up, a piece of the keys a task; what
reduces them is fitted; they are brought down, a piece a task, and laid out by range of (entity, time); each range is
written by a task, and an entity that reaches over several is carried on. Negatives, the spec and the examples follow,
by tasks that map the history's files: no process holds it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmrec import tasks
from llmrec.features.build import ray_tasks as cells
from llmrec.features.dataset.examples import CHUNK
from llmrec.features.asof.history import USERS
from llmrec.features.asof.history_data import SEQUENCE
from llmrec.features.build.plan import Inputs, Plan, plan_build, positions_uri
from llmrec.features.build.vector_shards import transform_shard, fit_pieces, partial_fit
from llmrec.features.transforms.reduction import Reduction, Reductions
from llmrec.files import delete_folder
from llmrec.storage import ArtifactWriter

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Reviews up to which tasks would cost more than they gain: all is then made in this process.
SMALL = 20_000


def build(inputs: Inputs, writer: ArtifactWriter) -> None:
    """Make the artifact. Raises what `tasks.spread` raises; scratch files are gone afterwards either way."""
    waves = TaskRunner(local=inputs.n_reviews <= SMALL)
    try:
        plan = waves.run("plans", plan_build, [(inputs,)])[0]
        reductions = _reductions(waves, inputs, plan)
        _write_history(waves, inputs, plan, reductions)
        drawn = _draw(waves, inputs, plan)
        spec = waves.held(cells.fit_spec, inputs, plan, writer.uri("spec"))
        written = _write_examples(waves, writer, inputs, plan, spec)
        covered = sum(upper - lower for lower, upper in plan.splits.values())
        writer.counts |= {"rows_in": covered, "rows_out": written, "quarantined": 0, **drawn}
        writer.info |= {"t1": plan.t1, "t2": plan.t2, "fold": inputs.fold}
        writer.info |= waves.run("facts of the spec", cells.facts, [()], spec)[0]
    finally:
        delete_folder(inputs.scratch)


class TaskRunner:
    """Tasks of this stage; `local`: in this process."""

    def __init__(self, local: bool) -> None:
        self.local = local

    def run(self, what: str, cell: Callable[..., T], arguments: Sequence[tuple[Any, ...]], *common: Any) -> list[T]:
        """`tasks.spread`, with progress."""
        done = tasks.progress(f"featurize: {what}", len(arguments))
        return tasks.spread(cell, arguments, common, done, stage="featurize", local=self.local)

    def held(self, cell: Callable[..., Any], *arguments: Any) -> Any:
        """`tasks.held`."""
        return tasks.held(cell, *arguments, stage="featurize", local=self.local)


def _reductions(waves: TaskRunner, inputs: Inputs, plan: Plan) -> dict[str, Reduction]:
    """Fit them, and bring all pieces down. What they are fitted on is summed by piece, and added in order."""
    pieces, names = [(piece,) for piece in plan.pieces], sorted(plan.dims)
    waves.run("pieces of vectors summed", partial_fit, pieces, inputs.settings)
    wanted = [(plan.dims[name], plan.of(name)) for name in names]
    fitted = waves.run("reductions fitted", fit_pieces, wanted, inputs.settings)
    reductions = dict(zip(names, fitted, strict=True))
    places = {name: (positions_uri(inputs.scratch, name), ranges) for name, ranges in plan.ranges.items()}
    by_user = {USERS: places[USERS]}  # nobody asks for the sequences by item
    sides = [(by_user if piece.name == SEQUENCE else places, piece) for piece in plan.pieces]
    waves.run("pieces of vectors brought down", transform_shard, sides, reductions)
    return reductions


def _write_history(waves: TaskRunner, inputs: Inputs, plan: Plan, reductions: Reductions) -> None:
    """What there is of vectors, the items' first: users' ranges sum those of their items too."""
    waves.run("vectors of items", cells.write_items, [()], inputs, plan, reductions)
    dims = {name: made.dim for name, made in reductions.items()}
    ranges = [(name, number) for name, mine in plan.ranges.items() for number in range(len(mine))]
    waves.run("ranges of the history", cells.write_range, ranges, inputs, plan, dims)
    chains = [(name, chain) for name, mine in plan.ranges.items() for chain in mine.chains()]
    waves.run("entities carried on", cells.carry_on, chains, inputs, plan)


def _draw(waves: TaskRunner, inputs: Inputs, plan: Plan) -> dict[str, int]:
    """Write the negatives of all clicks to scratch; what there is to count."""
    parts = [(split, at) for split, (lower, upper) in plan.splits.items() for at in range(cells.n_drawn(upper - lower))]
    counts = Counter[str]()
    for found in waves.run("parts of negatives", cells.draw_part, parts, inputs, plan):
        counts.update(found)
    return dict(counts)


def _write_examples(waves: TaskRunner, writer: ArtifactWriter, inputs: Inputs, plan: Plan, spec: Any) -> int:
    """How many rows of them are clicks."""
    files = [
        (split, at, writer.uri(f"examples/{split}-{at:05d}.parquet"))
        for split, (lower, upper) in plan.splits.items()
        for at in range(-(-(upper - lower) // CHUNK))
    ]
    return sum(waves.run("files of examples", cells.write_file, files, inputs, plan, spec))
