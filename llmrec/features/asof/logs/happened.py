"""What happened besides the reviews, as numbers, and which of it is asked for."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec import files
from llmrec.config.data.events import OutcomeConfig
from llmrec.corpus.passes.keys import hashed
from llmrec.features.arrays import Floats32, Ints

_NAMES = "further.json"
#: Ids whose text is in memory at a time.
_HASHED = 1 << 16


@dataclass(frozen=True)
class Happened:
    """Events (E,): who, what (0: no item), ms, kind, value (NaN: none), and what orders those of one time.

    `orders` is `event_order`; `ties` (`event_ties`) orders those of one user, item and time.
    """

    user_rows: Ints
    item_rows: Ints
    times: Ints
    kinds: Ints
    values: Floats32
    orders: npt.NDArray[np.uint64]
    ties: npt.NDArray[np.uint64]


def event_ties(ids: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """(n,) hashes of events' ids, the same in every process; of one user, they tell a copy."""
    parts = [hashed(ids.slice(start, _HASHED)) for start in range(0, len(ids), _HASHED)]
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def is_outcome(outcome: OutcomeConfig, kind: str, value: float | None) -> bool:
    """Whether an event is the outcome, as ingest says, which holds values as float32."""
    if kind != outcome.kind or outcome.at_least is None:
        return kind == outcome.kind
    return value is not None and float(np.float32(value)) >= outcome.at_least


@dataclass(frozen=True)
class Names:
    """What there is to load of a history: kinds of events, how many relations; and what is asked for."""

    kinds: tuple[str, ...] = ()
    relations: int = 0
    outcome: OutcomeConfig = field(default_factory=OutcomeConfig)


def write_names(folder: str, names: Names) -> None:
    """Write them."""
    told = {"kinds": names.kinds, "relations": names.relations, "outcome": names.outcome.model_dump()}
    files.write_json(f"{folder}/{_NAMES}", told)


def read_names(folder: str) -> Names:
    """What `write_names` wrote; nothing where it wrote none."""
    told = files.read_json(f"{folder}/{_NAMES}")
    if told is None:
        return Names()
    return Names(tuple(told["kinds"]), told["relations"], OutcomeConfig.model_validate(told["outcome"]))
