"""The order of the stage's tasks, over shards and ranges that are the same on any cluster; the driver starts them.

One task puts the events in order and writes their numbers. Then vectors are summed up, a shard of the keys a task; what
reduces them is fitted; vectors are reduced, a shard a task, and shuffled by range of (entity, time); each range is
written by a task, and an entity that reaches over several is carried on. Negatives, the spec and the examples follow,
by tasks that map the history's files: no process holds it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llmrec import tasks
from llmrec.features.arrays import read_arrays
from llmrec.features.asof.history import REDUCTIONS, USERS
from llmrec.features.asof.history_data import READING, SEQUENCE
from llmrec.features.build import ray_tasks
from llmrec.features.build.plan import BuildInputs, BuildPlan, plan_build, positions_uri
from llmrec.features.build.reduce_shards import fit_shards, partial_fit, transform_shard
from llmrec.features.dataset.examples import CHUNK
from llmrec.features.transforms.projection import Projection
from llmrec.features.transforms.reduction import Reduction, Reductions, from_arrays
from llmrec.files import delete_folder
from llmrec.storage import ArtifactWriter

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Reviews up to which tasks would cost more than they gain: all is then made in this process.
SMALL = 20_000


def build(inputs: BuildInputs, writer: ArtifactWriter) -> None:
    """Make the artifact. Raises what `tasks.parallel_map` raises; scratch files are gone afterwards either way."""
    runner = TaskRunner(local=inputs.n_reviews <= SMALL)
    try:
        plan = runner.run("plans", plan_build, [(inputs,)])[0]
        reductions = (
            kept_reductions(inputs.continued, plan) if inputs.continued else fit_reductions(runner, inputs, plan)
        )
        write_history(runner, inputs, plan, reductions)
        drawn = draw_negatives(runner, inputs, plan)
        spec = runner.remote_value(ray_tasks.fit_spec, inputs, plan, writer.uri("spec"))
        written = _write_examples(runner, writer, inputs, plan, spec)
        covered = sum(upper - lower for lower, upper in plan.splits.values())
        writer.counts |= {"rows_in": covered, "rows_out": written, "quarantined": 0, **drawn}
        writer.info |= {"t1": plan.t1, "t2": plan.t2, "fold": inputs.fold}
        writer.info |= runner.run("facts of the spec", ray_tasks.facts, [()], spec)[0]
    finally:
        delete_folder(inputs.scratch)


class TaskRunner:
    """Tasks of this stage; `local`: in this process."""

    def __init__(self, local: bool) -> None:
        self.local = local

    def run(self, what: str, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], *common: Any) -> list[T]:
        """`tasks.parallel_map`, with progress."""
        done = tasks.progress(f"featurize: {what}", len(arguments))
        return tasks.parallel_map(function, arguments, common, done, stage="featurize", local=self.local)

    def remote_value(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """`tasks.remote_value`."""
        return tasks.remote_value(function, *arguments, stage="featurize", local=self.local)


def fit_reductions(runner: TaskRunner, inputs: BuildInputs, plan: BuildPlan) -> dict[str, Reduction]:
    """What reduces each kind of vectors. What they are fitted on is summed by shard, and added in order."""
    fitted_on = [(shard,) for shard in plan.shards if shard.name != READING]
    runner.run("shards of vectors summed", partial_fit, fitted_on, inputs.settings)
    names = sorted(set(plan.dims) - {READING})
    wanted = [(plan.dims[name], plan.of(name)) for name in names]
    kept = {READING: Projection.identity(plan.dims[READING])} if READING in plan.dims else {}
    return dict(zip(names, runner.run("reductions fitted", fit_shards, wanted, inputs.settings), strict=True)) | kept


def kept_reductions(folder: str, plan: BuildPlan) -> Reductions:
    """Those of the bundle in `folder`. Raises ValueError where there are other vectors now."""
    found = from_arrays(read_arrays(f"{folder}/history/{REDUCTIONS}"))
    widths = {name: reduction.input_dim for name, reduction in found.items()}
    if widths != plan.dims:
        raise ValueError(f"featurize: the bundle {folder} reduces vectors of widths {widths}, found {plan.dims}; "
                         "expected the same encoder, readings and item vectors: run jobs.pipeline")  # fmt: skip
    return found


def write_history(runner: TaskRunner, inputs: BuildInputs, plan: BuildPlan, reductions: Reductions) -> None:
    """Reduce all vectors and write them, the items' first: users' ranges sum those of their items too."""
    places = {name: (positions_uri(inputs.scratch, name), ranges) for name, ranges in plan.ranges.items()}
    by_user = {USERS: places[USERS]}  # nobody asks for the sequences by item
    shards = [(by_user if shard.name == SEQUENCE else places, shard) for shard in plan.shards]
    runner.run("shards of vectors reduced", transform_shard, shards, reductions)
    runner.run("vectors of items", ray_tasks.write_items, [()], inputs, plan, reductions)
    dims = {name: made.dim for name, made in reductions.items()}
    ranges = [(name, number) for name, mine in plan.ranges.items() for number in range(len(mine))]
    runner.run("ranges of the history", ray_tasks.write_range, ranges, inputs, plan, dims)
    chains = [(name, chain) for name, mine in plan.ranges.items() for chain in mine.chains()]
    runner.run("carries over ranges", ray_tasks.propagate_carry, chains, inputs, plan)


def draw_negatives(runner: TaskRunner, inputs: BuildInputs, plan: BuildPlan) -> dict[str, int]:
    """Write the negatives of all clicks to scratch; what there is to count."""
    parts = [
        (split, at) for split, (lower, upper) in plan.splits.items() for at in range(ray_tasks.n_drawn(upper - lower))
    ]
    counts = Counter[str]()
    for found in runner.run("parts of negatives", ray_tasks.draw_part, parts, inputs, plan):
        counts.update(found)
    return dict(counts)


def _write_examples(runner: TaskRunner, writer: ArtifactWriter, inputs: BuildInputs, plan: BuildPlan, spec: Any) -> int:
    """How many rows of them are clicks."""
    files = [
        (split, at, writer.uri(f"examples/{split}-{at:05d}.parquet"))
        for split, (lower, upper) in plan.splits.items()
        for at in range(-(-(upper - lower) // CHUNK))
    ]
    return sum(runner.run("files of examples", ray_tasks.write_file, files, inputs, plan, spec))
