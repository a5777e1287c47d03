"""As-of profiles over Ray: Parquet in, Parquet out, in two waves of tasks; no process ever holds all events.

First wave: each task reads some row groups and lays them out by range of (entity, time), in one file a task and side.
Second wave: each task reads its range from all those files, sorts it and sums. An entity that spans ranges, however
heavy, is carried from one to the next as its sums, which are associative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.features.arrays import Floats, Ints
from llmrec.features.asof.profiles import EVENT, Hashes, Splitters, carries_of, entity_hash, profiles
from llmrec.files import filesystem
from llmrec.shuffle_files import read_range, writable, write_ranges
from llmrec.schema import Column as C
from llmrec.tasks import progress, spread

#: Events that a task holds at a time: with 64 dimensions some 300 MiB at its peak.
RANGE_EVENTS = 250_000
_SAMPLE = 2_000  # keys a piece gives to choose the splitters from

Carries = dict[tuple[int, str], Floats]


@dataclass(frozen=True)
class Piece:
    """Row groups of one input file that one task reads."""

    uri: str
    row_groups: tuple[int, ...]
    rows: int

    def read(self, columns: list[str]) -> pa.Table:
        fs, path = filesystem(self.uri)
        with fs.open_input_file(path) as source:
            return pq.ParquetFile(source).read_row_groups(self.row_groups, columns=columns, use_threads=False)


def as_of_profiles(inputs: Sequence[str], output: str, scratch: str, sides: Sequence[str] = (C.USER_ID, C.ITEM_ID),
                   *, range_events: int = RANGE_EVENTS, local: bool = False) -> dict[str, int]:  # fmt: skip
    """Write `OUTPUT/SIDE/part-N.parquet` (`profiles.profile_schema`) for each side; rows written a side.

    Args:
        inputs: URIs of Parquet files with EVENT (unique int64), the sides' ids, timestamp (ms), stars, vector
            (fixed-size list). A file's row groups are the grain of the work: keep them well below `range_events`.
        output, scratch: folders that every node can write to; the caller removes `scratch`.
        local: in this process, whatever is connected.

    Raises RuntimeError where a side's rows out differ from the rows in.
    """
    run = partial(spread, stage="featurize", local=local)
    pieces = [p for uri in inputs for p in _pieces(uri, range_events)]
    total = sum(p.rows for p in pieces)
    n_ranges = max(1, -(-total // range_events))
    samples = run(_sample, [(piece, sides) for piece in pieces])
    splitters = {}
    for number, side in enumerate(sides):
        keys = [np.concatenate([s[number][k] for s in samples] or [np.zeros(0, np.int64)]) for k in (0, 1)]
        splitters[side] = Splitters.of_sample(keys[0].astype(np.uint64), keys[1].astype(np.int64), n_ranges)
    laid = run(_lay_out, [(piece, f"{scratch}/{n}") for n, piece in enumerate(pieces)], (splitters,))
    carried = _carried(laid, splitters)
    files = {side: [f"{scratch}/{n}-{side}.arrow" for n in range(len(pieces))] for side in sides}
    ranges = [(side, number) for side in sides for number in range(splitters[side].n_ranges)]
    wanted = [(files[side], side, number, carried[side][number], f"{output}/{side}") for side, number in ranges]
    rows = run(_finish, wanted, done=progress("featurize: ranges of profiles", len(wanted)))
    written = dict.fromkeys(sides, 0)
    for (side, _), n in zip(ranges, rows, strict=True):
        written[side] += n
    if any(n != total for n in written.values()):
        raise RuntimeError(f"as_of_profiles: {total} events in, but {written} rows out; expected as many a side")
    return written


def _pieces(uri: str, range_events: int) -> list[Piece]:
    """Neighbouring row groups put together up to `range_events` rows."""
    fs, path = filesystem(uri)
    with fs.open_input_file(path) as source:
        metadata = pq.ParquetFile(source).metadata
        rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    pieces: list[list[int]] = []
    held = range_events
    for number, n in enumerate(rows):
        if held + n > range_events:
            pieces.append([])
            held = 0
        pieces[-1].append(number)
        held += n
    return [Piece(uri, tuple(groups), sum(rows[g] for g in groups)) for groups in pieces]


def _sample(piece: Piece, sides: Sequence[str]) -> list[tuple[Hashes, Ints]]:
    """Evenly spaced (hash, time) keys of each side."""
    keys = piece.read([*sides, C.TIMESTAMP])
    places = np.unique(np.linspace(0, keys.num_rows - 1, min(_SAMPLE, keys.num_rows)).astype(np.int64))
    some = keys.take(pa.array(places))
    return [(entity_hash(some[side]), some[C.TIMESTAMP].to_numpy()) for side in sides]


def _lay_out(splitters: dict[str, Splitters], piece: Piece, prefix: str) -> dict[str, Carries]:
    """Write the piece by range, one Arrow batch a range, for each side; return what has to be carried."""
    events = piece.read([EVENT, *splitters, C.TIMESTAMP, C.STARS, C.VECTOR])
    carries = {}
    for side, cuts in splitters.items():
        hashes, times = entity_hash(events[side]), events[C.TIMESTAMP].to_numpy()
        ranges = cuts.range_of(hashes, times)
        carries[side] = carries_of(events, side, ranges, np.isin(hashes, cuts.hashes))
        table = events.select([EVENT, side, C.TIMESTAMP, C.STARS, C.VECTOR])
        write_ranges(f"{prefix}-{side}.arrow", table, ranges, cuts.n_ranges)
    return carries


def _carried(parts: list[dict[str, Carries]], splitters: dict[str, Splitters]) -> dict[str, list[dict[str, Floats]]]:
    """For each range, the sums of all earlier ranges of the entities that splitters cut."""
    carried: dict[str, list[dict[str, Floats]]] = {}
    for side, cuts in splitters.items():
        own: list[dict[str, Floats]] = [{} for _ in range(cuts.n_ranges)]
        for part in parts:  # in order of the pieces: the same bits every time
            for (number, entity), sums in part[side].items():
                own[number][entity] = own[number].get(entity, 0) + sums
        running: dict[str, Floats] = {}
        carried[side] = []
        for sums_here in own:
            carried[side].append(dict(running))
            running |= {entity: running.get(entity, 0) + sums for entity, sums in sums_here.items()}
    return carried


def _finish(files: list[str], side: str, number: int, carry: dict[str, Floats], output: str) -> int:
    """Read one range from every file, compute, write; the number of rows."""
    table = profiles(read_range(files, number), side, carry)
    fs, path = writable(f"{output}/part-{number:05d}.parquet")
    with fs.open_output_stream(path) as sink:  # vectors do not compress: no dictionary, no statistics
        pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
    return int(table.num_rows)
