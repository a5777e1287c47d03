"""The log of users or of items, each user's events or each item's: what they gave, and running sums of it, in ranges.

A range is a stretch of (entity, time). Each is written by itself; an entity that reaches over several, however heavy,
is carried from one to the next as its last sum. So no task ever holds the vectors of all events, nor of one entity's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints, Rows, map_array, write_array
from llmrec.features.asof.sums import BlockedSums, EntityEvents, Terms

LIKED_STARS, DISLIKED_STARS = 4, 2
BEHAVIOUR, TEXT, COLUMNS = "behaviour", "text", "columns"
#: Rows by position: reduced review vectors with their presence; of users, what they had up to each event, as text.
VECTORS, SEQUENCES = "vectors", "sequences"
#: (T,) positions -> (T, D).
Take = Callable[[Ints], npt.NDArray[Any]]
#: The vectors of the items at positions of a log's events; None where there are none.
ColumnsOf = Callable[[EntityEvents], Take | None]
_EVENTS = ("order", "times", "keys", "offsets", "blocks")


@dataclass(frozen=True)
class EntityLog:
    """Events by entity, what they gave by position, and their running sums."""

    events: EntityEvents
    stars: Floats32  # (E,) by position, NaN where there are none
    rows: dict[str, Rows]  # VECTORS (E, D + 1), SEQUENCES (E, S)
    sums: dict[str, BlockedSums]  # BEHAVIOUR, TEXT; COLUMNS of users, where items bring vectors

    @classmethod
    def of(cls, events: EntityEvents, stars: Floats32, by_event: Mapping[str, Floats32], settings: FeaturesConfig,
           columns: Take | None = None) -> "EntityLog":  # fmt: skip
        """From arrays in memory, in order of events. `columns`: the vectors of the items at positions."""
        rows = {name: Rows.of(values[events.order]) for name, values in by_event.items()}
        mine = stars[events.order]
        return cls(events, mine, rows, sums_of(events, mine, rows[VECTORS].take, settings, columns))

    def save(self, folder_uri: str) -> None:
        """Write all of it below the folder."""
        save_events(folder_uri, self.events, self.stars)
        for name, rows in (self.rows | {name: made.stored for name, made in self.sums.items()}).items():
            for number, part in enumerate(rows.parts):
                write_array(part_uri(folder_uri, name, number), part)

    @classmethod
    def load(cls, folder_uri: str, moments: Ints, n_parts: int, names: Sequence[str], settings: FeaturesConfig,
             columns_of: ColumnsOf) -> "EntityLog":  # fmt: skip
        """What `save` wrote, or `write_range` range by range; mapped. `names` of its rows."""
        events, stars = load_events(folder_uri, moments)
        columns = columns_of(events)

        def found(name: str) -> Rows:
            return Rows.mapped([part_uri(folder_uri, name, number) for number in range(n_parts)])

        rows = {name: found(name) for name in names}
        stored = {name: found(name) for name in (BEHAVIOUR, TEXT, *([COLUMNS] if columns else []))}
        return cls(events, stars, rows, sums_of(events, stars, rows[VECTORS].take, settings, columns, stored))


def save_events(folder_uri: str, events: EntityEvents, stars: Floats32) -> None:
    """Write what there is before any vector; `stars` by position."""
    for name in _EVENTS:
        write_array(f"{folder_uri}/{name}.npy", getattr(events, name))
    write_array(f"{folder_uri}/stars.npy", stars)


def load_events(folder_uri: str, moments: Ints) -> tuple[EntityEvents, Floats32]:
    """What `save_events` wrote, mapped."""
    mapped = {name: map_array(f"{folder_uri}/{name}.npy") for name in _EVENTS}
    return EntityEvents(**mapped, moments=moments), map_array(f"{folder_uri}/stars.npy")


def part_uri(folder_uri: str, name: str, number: int) -> str:
    return f"{folder_uri}/{name}-{number:05d}.npy"


def sums_of(events: EntityEvents, stars: Floats32, vectors: Take, settings: FeaturesConfig, columns: Take | None,
            stored: Mapping[str, Rows | None] | None = None) -> dict[str, BlockedSums]:  # fmt: skip
    """The sums of a log; those not in `stored` are made from all events."""
    days = (np.inf, *settings.popularity_days)
    kinds: dict[str, tuple[Terms, tuple[float, ...]]] = {
        BEHAVIOUR: (partial(_behaviour, stars, len(days)), days),
        TEXT: (partial(_text, stars, vectors), (np.inf, settings.profile_days, np.inf, np.inf)),
    }
    if columns is not None:
        kinds[COLUMNS] = (partial(_columns, columns), (np.inf,))
    found = stored or {}
    return {name: BlockedSums(events, *terms, found.get(name)) for name, terms in kinds.items()}


def behaviour_values(stars: Floats32) -> Floats32:
    """(E, 4): 1, whether there are stars, the stars, their square."""
    given = ~np.isnan(stars)
    value = np.where(given, stars, 0)
    return np.stack([np.ones_like(stars), given, value, value**2], axis=1).astype(np.float32)


def _behaviour(stars: Floats32, n_variants: int, positions: Ints) -> tuple[Floats32, Floats32]:
    values = behaviour_values(stars[positions])
    return values, np.ones((len(values), n_variants), np.float32)


def _text(stars: Floats32, vectors: Take, positions: Ints) -> tuple[npt.NDArray[Any], Floats32]:
    """Weights in the order of TEXT_VARIANTS; events without stars are neither liked nor disliked."""
    given = stars[positions]
    ones = np.ones_like(given)
    weights = np.stack([ones, ones, given >= LIKED_STARS, given <= DISLIKED_STARS], axis=1).astype(np.float32)
    return vectors(positions), weights


def _columns(columns: Take, positions: Ints) -> tuple[npt.NDArray[Any], Floats32]:
    return columns(positions), np.ones((len(positions), 1), np.float32)


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
    for name, made in _unsummed(folder, moments, vectors, settings, columns_of).items():
        write_array(part_uri(target, name, number), made.summed(start, stop))


def propagate_carry(folder: str, scratch: str, ranges: EventRanges, chain: Sequence[int], moments: Ints,
                    settings: FeaturesConfig, columns_of: ColumnsOf) -> None:  # fmt: skip
    """Finish the sums of the ranges of a chain, one after the other; only one range's are in memory."""
    nothing = partial(_within, np.zeros((0, 0), np.float32), 0)
    for name, made in _unsummed(folder, moments, nothing, settings, columns_of).items():
        for number in chain[1:]:
            sums = np.array(map_array(part_uri(scratch, name, number)))
            before = map_array(part_uri(folder, name, number - 1))[-1]
            made.propagate_carry(sums, int(ranges.bounds[number]), int(ranges.bounds[number + 1]), before)
            write_array(part_uri(folder, name, number), sums)


def _unsummed(folder: str, moments: Ints, vectors: Take, settings: FeaturesConfig,
              columns_of: ColumnsOf) -> dict[str, BlockedSums]:  # fmt: skip
    events, stars = load_events(folder, moments)
    none = Rows.of(np.zeros((0, 0, 0)))
    return sums_of(
        events, stars, vectors, settings, columns_of(events), dict.fromkeys((BEHAVIOUR, TEXT, COLUMNS), none)
    )


def _within(rows: npt.NDArray[Any], start: int, positions: Ints) -> npt.NDArray[Any]:
    return rows[positions - start]
