"""The log of users or of items, each user's events or each item's: what they gave, and running sums of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Floats32, Ints, Rows, map_array, write_array
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.logs.sums import BlockedSums, Terms

BEHAVIOUR, TEXT, COLUMNS, READ = "behaviour", "text", "columns", "read"
#: Rows by position: reduced review vectors with their presence; of users, what they had up to each event, as text;
#: what was read in each review. Summed where there are any: READ.
VECTORS, SEQUENCES, READINGS = "vectors", "sequences", "readings"
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
    rows: dict[str, Rows]  # VECTORS (E, D + 1), SEQUENCES (E, S), READINGS (E, R)
    sums: dict[str, BlockedSums]  # BEHAVIOUR, TEXT; COLUMNS of users, where items bring vectors; READ

    @classmethod
    def load(cls, folder_uri: str, moments: Ints, n_parts: int, names: Sequence[str], settings: FeaturesConfig,
             columns_of: ColumnsOf) -> "EntityLog":  # fmt: skip
        """What `build.log_ranges` wrote, mapped. `names` of its rows."""
        events, stars = load_events(folder_uri, moments)
        columns = columns_of(events)

        def found(name: str) -> Rows:
            return Rows.mapped([part_uri(folder_uri, name, number) for number in range(n_parts)])

        rows = {name: found(name) for name in names}
        readings = readings_in(rows)
        more = [*([COLUMNS] if columns else []), *([READ] if readings else [])]
        stored = {name: found(name) for name in (BEHAVIOUR, TEXT, *more)}
        sums = sums_of(events, stars, rows[VECTORS].take, settings, columns, readings, stored)
        return cls(events, stars, rows, sums)


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


def readings_in(rows: Mapping[str, Rows]) -> Take | None:
    """What was read in the events at positions; None where nothing was."""
    held = rows.get(READINGS)
    return None if held is None or not held.shape[1] else held.take


def sums_of(events: EntityEvents, stars: Floats32, vectors: Take, settings: FeaturesConfig, columns: Take | None,
            readings: Take | None, stored: Mapping[str, Rows]) -> dict[str, BlockedSums]:  # fmt: skip
    """The sums of a log over what is stored of them."""
    days = (np.inf, *settings.popularity_days)
    kinds: dict[str, tuple[Terms, tuple[float, ...]]] = {
        BEHAVIOUR: (partial(_behaviour, stars, len(days)), days),
        TEXT: (partial(_text, stars, vectors, settings), (np.inf, settings.profile_days, np.inf, np.inf)),
    }
    if columns is not None:
        kinds[COLUMNS] = (partial(_columns, columns, 1), (np.inf,))
    if readings is not None:  # of all that was read, and of what was read of late
        kinds[READ] = (partial(_columns, readings, 2), (np.inf, settings.profile_days))
    return {name: BlockedSums(events, *terms, stored[name]) for name, terms in kinds.items()}


def behaviour_values(stars: Floats32) -> Floats32:
    """(E, 4): 1, whether there are stars, the stars, their square."""
    given = ~np.isnan(stars)
    value = np.where(given, stars, 0)
    return np.stack([np.ones_like(stars), given, value, value**2], axis=1).astype(np.float32)


def _behaviour(stars: Floats32, n_variants: int, positions: Ints) -> tuple[Floats32, Floats32]:
    values = behaviour_values(stars[positions])
    return values, np.ones((len(values), n_variants), np.float32)


def _text(
    stars: Floats32, vectors: Take, settings: FeaturesConfig, positions: Ints
) -> tuple[npt.NDArray[Any], Floats32]:
    """Weights in the order of TEXT_VARIANTS; events without stars are neither liked nor disliked."""
    given = stars[positions]
    ones = np.ones_like(given)
    weights = np.stack([ones, ones, given >= settings.liked_from, given <= settings.disliked_to], axis=1)
    return vectors(positions), weights.astype(np.float32)


def _columns(columns: Take, n_variants: int, positions: Ints) -> tuple[npt.NDArray[Any], Floats32]:
    return columns(positions), np.ones((len(positions), n_variants), np.float32)
