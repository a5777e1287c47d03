"""How the stage runs: waves of tasks, each over pieces that are the same on any cluster. The driver only starts them.

Sum the vectors up, a piece a task; fit what reduces them; bring them down, a piece a task; put the history together in
one task; write the examples, a file a task. Between waves, vectors lie in scratch files and the history in Ray's shared
memory, where all tasks of a machine see it without a copy.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from llmrec import tasks
from llmrec.features.distributed import as_of_profiles
from llmrec.features.examples import CHUNK, example_table
from llmrec.features.history_data import TEXT
from llmrec.features.layout import Inputs, Plan, assemble, lay_out, plan_of
from llmrec.features.pieces import bring_down, fit_pieces, one_thread, sum_up
from llmrec.features.prepare import Prepared
from llmrec.features.profiles import EVENT
from llmrec.features.reduction import Reduction
from llmrec.schema import Column as C
from llmrec.storage import ArtifactWriter, delete_folder, write_parquet

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Reviews up to which tasks would cost more than they gain: all is then made in this process.
SMALL = 20_000
#: Events of a file that `as_of_profiles` reads.
_PROFILE_EVENTS = 50_000


def build(inputs: Inputs, writer: ArtifactWriter) -> None:
    """Make the artifact. Raises what `tasks.spread` raises; scratch files are gone afterwards either way."""
    waves = Waves(local=inputs.n_reviews <= SMALL)
    scratch = f"{writer.root}/scratch-{writer.attempt}"
    try:
        laid = waves.held(lay_out, inputs, scratch)
        plan = waves.run("plans", plan_of, [()], laid)[0]
        reductions = _reductions(waves, inputs, plan)
        folders = writer.uri("history"), writer.uri("spec")
        prepared = waves.held(assemble, inputs, laid, reductions, folders)
        del laid
        _write_examples(waves, writer, prepared, plan, inputs)
        if inputs.settings.write_profiles and plan.of(TEXT):
            _write_profiles(waves, writer, prepared, scratch)
    finally:
        delete_folder(scratch)


class Waves:
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


def _reductions(waves: Waves, inputs: Inputs, plan: Plan) -> dict[str, Reduction]:
    """Fit them, and bring all pieces down. What they are fitted on is summed by piece, and added in order."""
    pieces, names = [(piece,) for piece in plan.pieces], sorted(plan.dims)
    waves.run("pieces of vectors summed", sum_up, pieces, inputs.settings)
    wanted = [(plan.dims[name], plan.of(name)) for name in names]
    fitted = waves.run("reductions fitted", fit_pieces, wanted, inputs.settings)
    reductions = dict(zip(names, fitted, strict=True))
    waves.run("pieces of vectors brought down", bring_down, pieces, reductions)
    return reductions


def _write_examples(waves: Waves, writer: ArtifactWriter, prepared: Any, plan: Plan, inputs: Inputs) -> None:
    summary = waves.run("summaries", _summary, [()], prepared)[0]
    files = [
        (number, chunk, writer.uri(f"examples/{split}-{chunk:05d}.parquet"))
        for number, (split, n) in enumerate(summary["clicks"].items())
        for chunk in range(-(-n // CHUNK))
    ]
    positives = sum(waves.run("files of examples", _write_file, files, prepared))
    writer.counts |= {"rows_in": plan.n_reviews, "rows_out": positives, "quarantined": 0} | summary["counts"]
    writer.info |= {"t1": plan.t1, "t2": plan.t2, "fold": inputs.fold} | summary["info"]


def _write_file(prepared: Prepared, number: int, chunk: int, uri: str) -> int:
    """Write one file of one group of clicks; how many rows are clicks."""
    clicks = prepared.clicks[number].part(chunk * CHUNK, (chunk + 1) * CHUNK)
    with one_thread():
        table = example_table(prepared.history, prepared.spec, clicks)
    write_parquet(uri, table)
    return int(np.sum(table[C.CLICK].to_numpy()))


def _summary(prepared: Prepared) -> dict[str, Any]:
    """Counts and info of the manifest, and the number of clicks of each split."""
    history, spec, counts = prepared.history, prepared.spec, dict[str, int]()
    for group in prepared.clicks:
        counts[f"clicks_{group.split}"] = len(group.events)
        data, known = history.data, history.known_since
        new = known[data.item_rows[group.events]] >= data.times[group.events]
        counts[f"clicks_on_new_items_{group.split}"] = int(new.sum())  # no candidates: never negatives either
        counts[f"negatives_{group.split}"] = int((group.negatives > 0).sum())
        counts[f"negatives_missing_{group.split}"] = int((group.negatives == 0).sum())
    widths = Counter(c.family for c in (*spec.user_columns, *spec.item_columns, *spec.pair_columns))
    info = {"cutoff": spec.cutoff, "families": {name: widths[name] for name in spec.families},
            "n_users": spec.n_users, "n_items": spec.n_items}  # fmt: skip
    return {"counts": counts, "info": info, "clicks": {group.split: len(group.events) for group in prepared.clicks}}


def _write_profiles(waves: Waves, writer: ArtifactWriter, prepared: Any, scratch: str) -> None:
    """`profiles/user_id/` and `profiles/item_id/` of every event, by `as_of_profiles`; `event` is `query_id`."""
    n_events = waves.run("events counted", _n_events, [()], prepared)[0]
    starts = range(0, n_events, _PROFILE_EVENTS)
    files = [(start, f"{scratch}/events/{start:012d}.parquet") for start in starts]
    waves.run("files of events", _write_events, files, prepared)
    folder, own = writer.uri("profiles"), f"{scratch}/profiles"
    written = as_of_profiles([uri for _, uri in files], folder, own, local=waves.local)
    writer.counts |= {f"profiles_{side}": rows for side, rows in written.items()}


def _n_events(prepared: Prepared) -> int:
    return len(prepared.history.data.times)


def _write_events(prepared: Prepared, start: int, uri: str) -> None:
    """A file of events with ids, stars and reduced vectors, as `as_of_profiles` takes it."""
    data, some = prepared.history.data, slice(start, start + _PROFILE_EVENTS)
    vectors = np.ascontiguousarray(data.vectors[some, :-1])
    columns = {
        EVENT: np.arange(start, start + len(vectors)),
        C.USER_ID: data.user_ids.take(data.user_rows[some]),
        C.ITEM_ID: data.item_ids.take(data.item_rows[some]),
        C.TIMESTAMP: data.times[some],
        C.STARS: pa.array(data.stars[some], mask=np.isnan(data.stars[some])),
        C.VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
    }
    write_parquet(uri, pa.table(columns))
