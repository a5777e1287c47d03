"""An entity log written in ranges of positions, each by itself; what reaches over several is carried on to the next.

An entity that reaches over several ranges, however heavy, is carried as its last sum: no task ever holds the vectors
of all events, nor of one entity's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints, Rows, map_array, write_array
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.logs.entity_log import (
    BEHAVIOUR,
    COLUMNS,
    READ,
    READINGS,
    TEXT,
    VECTORS,
    ColumnsOf,
    Take,
    load_events,
    part_uri,
    sums_of,
)  # fmt: skip
from llmrec.features.asof.logs.sums import BlockedSums


@dataclass(frozen=True)
class EventRanges:
    """The ranges of positions that a log is written in."""

    bounds: Ints  # (R + 1,)
    continued: tuple[bool, ...]  # (R,) whether an entity reaches into it from the range before

    @classmethod
    def of(cls, events: EntityEvents, size: int) -> "EventRanges":
        bounds = events.ranges(size)
        owners = np.minimum(events.owners(bounds[:-1]), len(events.offsets) - 2)
        return cls(bounds, tuple((bounds[:-1] > events.offsets[owners]).tolist()))

    def __len__(self) -> int:
        return len(self.continued)

    def of_positions(self, positions: Ints) -> Ints:
        """(n,) range of each position."""
        return np.searchsorted(self.bounds, positions, side="right") - 1

    def chains(self) -> list[list[int]]:
        """Ranges one behind the other that one entity after the other reaches over; the first of each is whole."""
        found: list[list[int]] = []
        for number, continued in enumerate(self.continued):
            if continued:
                found[-1].append(number)
            else:
                found.append([number])
        return [chain for chain in found if len(chain) > 1]


def write_range(folder: str, scratch: str, ranges: EventRanges, number: int, moments: Ints,
                rows: Mapping[str, Floats32], settings: FeaturesConfig, columns_of: ColumnsOf) -> None:  # fmt: skip
    """Write the rows of one range of positions below `folder`, and its sums: below `scratch` if it is continued."""
    start, stop = (int(bound) for bound in ranges.bounds[number : number + 2])
    for name, values in rows.items():
        write_array(part_uri(folder, name, number), values)
    target = scratch if ranges.continued[number] else folder
    vectors = partial(_within, rows[VECTORS], start)
    read = READINGS in rows and rows[READINGS].shape[1]
    readings = partial(_within, rows[READINGS], start) if read else None
    for name, made in _unsummed(folder, moments, vectors, settings, columns_of, readings).items():
        write_array(part_uri(target, name, number), made.summed(start, stop))


def propagate_carry(folder: str, scratch: str, ranges: EventRanges, chain: Sequence[int], moments: Ints,
                    settings: FeaturesConfig, columns_of: ColumnsOf, read: bool = False) -> None:  # fmt: skip
    """Finish the sums of the ranges of a chain, one after the other; only one range's are in memory.

    `read`: whether the events have readings.
    """
    nothing = partial(_within, np.zeros((0, 0), np.float32), 0)
    for name, made in _unsummed(folder, moments, nothing, settings, columns_of, nothing if read else None).items():
        for number in chain[1:]:
            sums = np.array(map_array(part_uri(scratch, name, number)))
            before = map_array(part_uri(folder, name, number - 1))[-1]
            made.propagate_carry(sums, int(ranges.bounds[number]), int(ranges.bounds[number + 1]), before)
            write_array(part_uri(folder, name, number), sums)


def _unsummed(folder: str, moments: Ints, vectors: Take, settings: FeaturesConfig,
              columns_of: ColumnsOf, readings: Take | None) -> dict[str, BlockedSums]:  # fmt: skip
    events, stars = load_events(folder, moments)
    none = Rows.of(np.zeros((0, 0, 0)))
    stored = dict.fromkeys((BEHAVIOUR, TEXT, COLUMNS, READ), none)
    return sums_of(events, stars, vectors, settings, columns_of(events), readings, stored)


def _within(rows: npt.NDArray[Any], start: int, positions: Ints) -> npt.NDArray[Any]:
    return rows[positions - start]
