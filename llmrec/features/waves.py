"""How the stage runs: waves of tasks over pieces and ranges that are the same on any cluster; the driver starts them.

One task puts the events in order and writes their numbers. Then vectors are summed up, a piece of the keys a task; what
reduces them is fitted; they are brought down, a piece a task, and laid out by range of (entity, time); each range is
written by a task, and an entity that reaches over several is carried on. Negatives, the spec and the examples follow,
by tasks that map the history's files: no process holds it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from llmrec import tasks
from llmrec.features import side
from llmrec.features.arrays import Rows, map_array, write_array
from llmrec.features.asof import EntityEvents
from llmrec.features.distributed import as_of_profiles
from llmrec.features.examples import CHUNK, Clicks, example_table
from llmrec.features.history import USERS, History, columns_of
from llmrec.features.history_data import SEQUENCE, TEXT, HistoryData, save_vectors, side_by_side, spread
from llmrec.features.layout import Inputs, Plan, lay_out, positions_uri, review_ids
from llmrec.features.negatives import NegativeSampler
from llmrec.features.pieces import bring_down, collect, fit_pieces, of_range, one_thread, sum_up
from llmrec.features.prepare import draw, fit, learned_until
from llmrec.features.profiles import EVENT
from llmrec.features.reduction import Reduction, Reductions
from llmrec.features.side import SEQUENCES, VECTORS
from llmrec.features.spec import FeatureSpec
from llmrec.schema import VECTOR_PREFIX
from llmrec.schema import Column as C
from llmrec.storage import ArtifactWriter, delete_folder, write_parquet

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Reviews up to which tasks would cost more than they gain: all is then made in this process.
SMALL = 20_000
#: Clicks whose negatives one task draws.
DRAWN = 16 * CHUNK
#: Events of a file that `as_of_profiles` reads.
_PROFILE_EVENTS = 50_000


def build(inputs: Inputs, writer: ArtifactWriter) -> None:
    """Make the artifact. Raises what `tasks.spread` raises; scratch files are gone afterwards either way."""
    waves = Waves(local=inputs.n_reviews <= SMALL)
    try:
        plan = waves.run("plans", lay_out, [(inputs,)])[0]
        reductions = _reductions(waves, inputs, plan)
        _write_history(waves, inputs, plan, reductions)
        drawn = _draw(waves, inputs, plan)
        spec = waves.held(_fit_spec, inputs, plan, writer.uri("spec"))
        _write_examples(waves, writer, inputs, plan, spec)
        writer.counts |= {"rows_in": sum(b - a for a, b in plan.splits.values()), "quarantined": 0, **drawn}
        writer.info |= {"t1": plan.t1, "t2": plan.t2, "fold": inputs.fold}
        writer.info |= waves.run("facts of the spec", _facts, [()], spec)[0]
        if inputs.settings.write_profiles and plan.of(TEXT):
            _write_profiles(waves, writer, inputs, plan)
    finally:
        delete_folder(inputs.scratch)


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
    places = {name: (positions_uri(inputs.scratch, name), ranges) for name, ranges in plan.ranges.items()}
    by_user = {USERS: places[USERS]}  # nobody asks for the sequences by item
    sides = [(by_user if piece.name == SEQUENCE else places, piece) for piece in plan.pieces]
    waves.run("pieces of vectors brought down", bring_down, sides, reductions)
    return reductions


def _write_history(waves: Waves, inputs: Inputs, plan: Plan, reductions: Reductions) -> None:
    """What there is of vectors, the items' first: users' ranges sum those of their items too."""
    waves.run("vectors of items", _write_items, [()], inputs, plan, reductions)
    dims = {name: made.dim for name, made in reductions.items()}
    cells = [(name, number) for name, ranges in plan.ranges.items() for number in range(len(ranges))]
    waves.run("ranges of the history", _write_range, cells, inputs, plan, dims)
    chains = [(name, chain) for name, ranges in plan.ranges.items() for chain in ranges.chains()]
    waves.run("entities carried on", _carry_on, chains, inputs, plan)


def _write_items(inputs: Inputs, plan: Plan, reductions: Reductions) -> None:
    where = map_array(f"{inputs.scratch}/where.npy")
    n = len(map_array(f"{inputs.history}/price.npy"))
    width = reductions[TEXT].dim if TEXT in reductions else 0
    described = spread(collect(plan.of(TEXT, "item"), plan.n_items, width), where, n)
    columns = {
        name: collect(plan.of(name), plan.n_items, made.dim)
        for name, made in reductions.items()
        if name.startswith(VECTOR_PREFIX)
    }
    dims = {name: values.shape[1] for name, values in columns.items()}
    shown = spread(side_by_side(columns, plan.n_items), where, n)
    save_vectors(inputs.history, inputs.settings, described, shown, dims, reductions)


def _write_range(inputs: Inputs, plan: Plan, dims: Mapping[str, int], name: str, number: int) -> None:
    data, ranges = _data(inputs.history), plan.ranges[name]
    place = name, number, int(ranges.bounds[number]), int(ranges.bounds[number + 1])
    rows = {VECTORS: of_range(plan.of(TEXT, "review"), *place, dims.get(TEXT, 0) + 1)}
    if name == USERS:
        rows[SEQUENCES] = of_range(plan.of(SEQUENCE), *place, dims.get(SEQUENCE, 0))
    with one_thread():
        side.write_range(*_folders(inputs, name), ranges, number, data.times, rows, inputs.settings,
                         partial(_columns, data, name))  # fmt: skip


def _carry_on(inputs: Inputs, plan: Plan, name: str, chain: Sequence[int]) -> None:
    data = _data(inputs.history)
    side.carry_on(*_folders(inputs, name), plan.ranges[name], chain, data.times, inputs.settings,
                  partial(_columns, data, name))  # fmt: skip


def _folders(inputs: Inputs, name: str) -> tuple[str, str]:
    return f"{inputs.history}/{name}", f"{inputs.scratch}/{name}"


def _draw(waves: Waves, inputs: Inputs, plan: Plan) -> dict[str, int]:
    """Write the negatives of all clicks to scratch; what there is to count."""
    parts = [(split, at) for split, (lower, upper) in plan.splits.items() for at in range(_n_drawn(upper - lower))]
    counts = Counter[str]()
    for found in waves.run("parts of negatives", _draw_part, parts, inputs, plan):
        counts.update(found)
    return dict(counts)


def _n_drawn(n_clicks: int) -> int:
    return max(1, -(-n_clicks // DRAWN))


def _draw_part(inputs: Inputs, plan: Plan, split: str, at: int) -> dict[str, int]:
    history, (lower, upper) = _history(inputs.history), plan.splits[split]
    events = np.arange(lower + at * DRAWN, min(lower + (at + 1) * DRAWN, upper))
    keys, times = (map_array(f"{inputs.scratch}/pair_{name}.npy") for name in ("keys", "times"))
    negatives = draw(history, NegativeSampler.of(history, inputs.settings.seed, (keys, times)), events)
    write_array(_negatives_uri(inputs, split, at), negatives)
    data = history.data
    new = history.known_since[data.item_rows[events]] >= data.times[events]
    return {
        "rows_out": len(events),
        f"clicks_{split}": len(events),
        f"clicks_on_new_items_{split}": int(new.sum()),  # no candidates: never negatives either
        f"negatives_{split}": int((negatives > 0).sum()),
        f"negatives_missing_{split}": int((negatives == 0).sum()),
    }


def _negatives_uri(inputs: Inputs, split: str, at: int) -> str:
    return f"{inputs.scratch}/negatives-{split}-{at:05d}.npy"


def _clicks(inputs: Inputs, plan: Plan, split: str) -> Clicks:
    """All of a split, mapped, without the reviews' ids."""
    lower, upper = plan.splits[split]
    uris = [_negatives_uri(inputs, split, at) for at in range(_n_drawn(upper - lower))]
    return Clicks(np.arange(lower, upper), Rows.mapped(uris), split)


def _fit_spec(inputs: Inputs, plan: Plan, folder: str) -> FeatureSpec:
    with one_thread():
        until = learned_until(inputs.fold, plan.t1, plan.t2)
        spec = fit(_history(inputs.history), _clicks(inputs, plan, "train"), inputs.fold, until)
    spec.save(folder)
    return spec


def _facts(spec: FeatureSpec) -> dict[str, Any]:
    widths = Counter(c.family for c in (*spec.user_columns, *spec.item_columns, *spec.pair_columns))
    return {"cutoff": spec.cutoff, "families": {name: widths[name] for name in spec.families},
            "n_users": spec.n_users, "n_items": spec.n_items}  # fmt: skip


def _write_examples(waves: Waves, writer: ArtifactWriter, inputs: Inputs, plan: Plan, spec: Any) -> None:
    files = [
        (split, at, writer.uri(f"examples/{split}-{at:05d}.parquet"))
        for split, (lower, upper) in plan.splits.items()
        for at in range(-(-(upper - lower) // CHUNK))
    ]
    waves.run("files of examples", _write_file, files, inputs, plan, spec)


def _write_file(inputs: Inputs, plan: Plan, spec: FeatureSpec, split: str, at: int, uri: str) -> None:
    """Write one file of a split."""
    lower, upper = plan.splits[split]
    first, last = at * CHUNK, min((at + 1) * CHUNK, upper - lower)
    drawn, start = map_array(_negatives_uri(inputs, split, first // DRAWN)), first // DRAWN * DRAWN
    clicks = Clicks(np.arange(lower + first, lower + last), Rows.of(drawn[first - start : last - start]), split,
                    review_ids(plan, lower + first, lower + last))  # fmt: skip
    with one_thread():
        table = example_table(_history(inputs.history), spec, clicks)
    write_parquet(uri, table)


def _write_profiles(waves: Waves, writer: ArtifactWriter, inputs: Inputs, plan: Plan) -> None:
    """`profiles/user_id/` and `profiles/item_id/` of every event, by `as_of_profiles`; `event` is `query_id`."""
    starts = range(0, plan.n_events, _PROFILE_EVENTS)
    files = [(start, f"{inputs.scratch}/events/{start:012d}.parquet") for start in starts]
    waves.run("files of events", _write_events, files, inputs)
    folder, own = writer.uri("profiles"), f"{inputs.scratch}/profiles"
    written = as_of_profiles([uri for _, uri in files], folder, own, local=waves.local)
    writer.counts |= {f"profiles_{side}": rows for side, rows in written.items()}


def _write_events(inputs: Inputs, start: int, uri: str) -> None:
    """A file of users' events with ids, stars and reduced vectors, as `as_of_profiles` takes it."""
    history = _history(inputs.history)
    data, users = history.data, history.users
    positions = np.arange(start, min(start + _PROFILE_EVENTS, len(data.times)))
    numbers, stars = users.events.order[positions], users.stars[positions]
    vectors = np.ascontiguousarray(users.rows[VECTORS].take(positions)[:, :-1])
    columns = {
        EVENT: numbers,
        C.USER_ID: data.user_ids.take(data.user_rows[numbers]),
        C.ITEM_ID: data.item_ids.take(data.item_rows[numbers]),
        C.TIMESTAMP: data.times[numbers],
        C.STARS: pa.array(stars, mask=np.isnan(stars)),
        C.VECTOR: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
    }
    write_parquet(uri, pa.table(columns))


@lru_cache(maxsize=1)
def _history(folder: str) -> History:
    """Mapped once by a process that runs many tasks."""
    return History.load(folder)


@lru_cache(maxsize=1)
def _data(folder: str) -> HistoryData:
    return HistoryData.load(folder)


def _columns(data: HistoryData, name: str, events: EntityEvents) -> side.Take | None:
    return columns_of(data, events) if name == USERS else None
