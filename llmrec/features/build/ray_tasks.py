"""What the tasks of the stage do, in the order of `driver.py`; each maps the files that it reads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints, Rows, map_array, write_array, write_arrays
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history import REDUCTIONS, USERS, History, columns_of
from llmrec.features.asof.history_data import READING, SEQUENCE, TEXT, HistoryData, save_vectors
from llmrec.features.asof.logs.entity_log import READINGS, SEQUENCES, VECTORS, Take
from llmrec.features.build import log_ranges
from llmrec.features.build.plan import BuildInputs, BuildPlan, outcomes_uri, review_ids
from llmrec.features.build.profile_vectors import write_profile_logs
from llmrec.features.build.reduce_shards import collect, of_range, scatter_rows, side_by_side
from llmrec.features.dataset.examples import CHUNK, Clicks, example_table
from llmrec.features.dataset.fitting import draw, fit
from llmrec.features.dataset.folds import labelled_until, learned_until
from llmrec.features.dataset.negatives import NegativeSampler
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.transforms.reduction import Reductions, to_arrays
from llmrec.files import write_parquet
from llmrec.schema import VECTOR_PREFIX
from llmrec.schema import Column as C
from llmrec.threads import one_thread

#: Clicks whose negatives one task draws.
DRAWN = 16 * CHUNK


def write_items(inputs: BuildInputs, plan: BuildPlan, reductions: Reductions) -> None:
    """Bring all that items have of vectors together, and write it with the reductions."""
    where = map_array(f"{inputs.scratch}/where.npy")
    n = len(map_array(f"{inputs.history}/price.npy"))
    width = reductions[TEXT].dim if TEXT in reductions else 0
    described = scatter_rows(collect(plan.of(TEXT, "item"), plan.n_items, width), where, n)
    columns = {
        name: collect(plan.of(name), plan.n_items, made.dim)
        for name, made in reductions.items()
        if name.startswith(VECTOR_PREFIX)
    }
    dims = {name: values.shape[1] for name, values in columns.items()}
    shown = scatter_rows(side_by_side(columns, plan.n_items), where, n)
    save_vectors(inputs.history, inputs.settings, described, shown, dims)
    write_arrays(f"{inputs.history}/{REDUCTIONS}", to_arrays(reductions))
    if inputs.readings is not None and inputs.readings.holds("profiles") and TEXT in reductions:
        write_profile_logs(inputs, reductions[TEXT])


def write_range(inputs: BuildInputs, plan: BuildPlan, dims: Mapping[str, int], name: str, number: int) -> None:
    """Assemble one range of a log, and write it with its sums."""
    data, ranges = _data(inputs.history), plan.ranges[name]
    place = name, number, int(ranges.bounds[number]), int(ranges.bounds[number + 1])
    rows = {VECTORS: of_range(plan.of(TEXT, "review"), *place, dims.get(TEXT, 0) + 1)}
    rows[READINGS] = of_range(plan.of(READING), *place, dims.get(READING, 0))
    if name == USERS:
        rows[SEQUENCES] = of_range(plan.of(SEQUENCE), *place, dims.get(SEQUENCE, 0))
    with one_thread("blas"):
        log_ranges.write_range(*_folders(inputs, name), ranges, number, data.times, rows, inputs.settings,
                         partial(_columns, data, name))  # fmt: skip


def propagate_carry(inputs: BuildInputs, plan: BuildPlan, name: str, chain: Sequence[int]) -> None:
    """Finish the sums of one chain of ranges."""
    data = _data(inputs.history)
    log_ranges.propagate_carry(*_folders(inputs, name), plan.ranges[name], chain, data.times, inputs.settings,
                  partial(_columns, data, name), READING in plan.dims)  # fmt: skip


def _folders(inputs: BuildInputs, name: str) -> tuple[str, str]:
    return f"{inputs.history}/{name}", f"{inputs.scratch}/{name}"


def n_drawn(n_clicks: int) -> int:
    """Parts that a split's negatives are drawn in."""
    return max(1, -(-n_clicks // DRAWN))


def draw_part(inputs: BuildInputs, plan: BuildPlan, split: str, at: int) -> dict[str, int]:
    """Write the negatives of one part; what there is to count of it."""
    history, (lower, upper) = _history(inputs.history), plan.splits[split]
    events = _outcomes(inputs, lower + at * DRAWN, min(lower + (at + 1) * DRAWN, upper))
    keys, times = (map_array(f"{inputs.scratch}/pair_{name}.npy") for name in ("keys", "times"))
    negatives = draw(history, NegativeSampler.of(history, inputs.settings.seed, (keys, times)), events)
    write_array(_negatives_uri(inputs, split, at), negatives)
    data = history.data
    new = history.known_since[data.item_rows[events]] >= data.times[events]
    return {
        f"clicks_{split}": len(events),
        f"clicks_on_new_items_{split}": int(new.sum()),  # no candidates: never negatives either
        f"negatives_{split}": int((negatives > 0).sum()),
        f"negatives_missing_{split}": int((negatives == 0).sum()),
    }


def _outcomes(inputs: BuildInputs, lower: int, upper: int) -> Ints:
    """Numbers of the outcomes `lower` to `upper` (exclusive) among all events."""
    return np.array(map_array(outcomes_uri(inputs.scratch))[lower:upper])


def _negatives_uri(inputs: BuildInputs, split: str, at: int) -> str:
    return f"{inputs.scratch}/negatives-{split}-{at:05d}.npy"


def clicks_of(inputs: BuildInputs, plan: BuildPlan, split: str) -> Clicks:
    """All of a split, mapped, without the reviews' ids."""
    lower, upper = plan.splits[split]
    uris = [_negatives_uri(inputs, split, at) for at in range(n_drawn(upper - lower))]
    return Clicks(_outcomes(inputs, lower, upper), Rows.mapped(uris), split, until=_until(inputs, plan, split))


def _until(inputs: BuildInputs, plan: BuildPlan, split: str) -> int:
    return labelled_until(inputs.fold, split, plan.t1, plan.t2)


def fit_spec(inputs: BuildInputs, plan: BuildPlan, folder: str) -> FeatureSpec:
    """Fit the spec on the training clicks, or let a bundle's go on; save it, and hand it on."""
    with one_thread("blas"):
        until, history = learned_until(inputs.fold, plan.t1, plan.t2), _history(inputs.history)
        if inputs.continued is None:
            spec = fit(history, clicks_of(inputs, plan, "train"), inputs.fold, until)
        else:
            spec = FeatureSpec.load(f"{inputs.continued}/spec").continued(history, until)
    spec.save(folder)
    return spec


def facts(spec: FeatureSpec) -> dict[str, Any]:
    """What the manifest says of the spec."""
    widths = Counter(c.family for c in (*spec.user_columns, *spec.item_columns, *spec.pair_columns))
    return {"cutoff": spec.cutoff, "families": {name: widths[name] for name in spec.families},
            "n_users": spec.n_users, "n_items": spec.n_items}  # fmt: skip


def write_file(inputs: BuildInputs, plan: BuildPlan, spec: FeatureSpec, split: str, at: int, uri: str) -> int:
    """Write one file of a split; how many of its rows are clicks."""
    lower, upper = plan.splits[split]
    first, last = at * CHUNK, min((at + 1) * CHUNK, upper - lower)
    drawn, start = map_array(_negatives_uri(inputs, split, first // DRAWN)), first // DRAWN * DRAWN
    events = _outcomes(inputs, lower + first, lower + last)
    ids = review_ids(plan, int(events[0]), int(events[-1]) + 1).take(pa.array(events - events[0]))
    clicks = Clicks(events, Rows.of(drawn[first - start : last - start]), split, ids, _until(inputs, plan, split))
    with one_thread("blas"):
        table = example_table(_history(inputs.history), spec, clicks)
    write_parquet(uri, table)
    return int(table[C.CLICK].to_numpy().sum())


@lru_cache(maxsize=1)
def _history(folder: str) -> History:
    """Mapped once by a process that runs many tasks."""
    return History.load(folder)


@lru_cache(maxsize=1)
def _data(folder: str) -> HistoryData:
    return HistoryData.load(folder)


def _columns(data: HistoryData, name: str, events: EntityEvents) -> Take | None:
    return columns_of(data, events) if name == USERS else None
