"""A list that was served, and what came back. No words: neither the request's nor a reason's."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from llmrec.features.arrays import Floats32

#: What has a column of its own.
_APART = ("list_id", "user", "time", "experiment", "arm", "contexts")
#: What a live event (POST /v1/events) counts as.
TAKEN = "taken"


@dataclass(frozen=True)
class ServedList:
    """One answer of /v1/recommend: k items, the first slot first.

    Where slots were drawn (`policy`, `rate`): `propensities`, `shares`, `best`, and `contexts` (3, k, d) whose columns
    `terms` names, all as `Explored` has them. `teams`: of an interleaved list, the arm that brought each item.
    """

    list_id: str
    user: str  # empty for somebody without an id
    time: int  # ms UTC
    bundle: str
    items: tuple[str, ...]
    policy: str | None = None
    rate: float = 0.0
    propensities: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    best: tuple[bool, ...] = ()
    terms: tuple[str, ...] = ()
    experiment: str | None = None
    arm: str | None = None
    teams: tuple[str, ...] = ()
    contexts: Floats32 | None = field(default=None, compare=False)

    def body(self) -> dict[str, Any]:
        """For JSON, without what has a column of its own."""
        return {name: told for name, told in asdict(replace(self, contexts=None)).items() if name not in _APART}

    def blob(self) -> bytes | None:
        return None if self.contexts is None else np.asarray(self.contexts, np.float32).tobytes()

    @classmethod
    def of(cls, columns: dict[str, Any], body: dict[str, Any], blob: bytes | None) -> "ServedList":
        """The list that was written so."""
        told: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in body.items()
        }
        contexts = None if blob is None else np.frombuffer(blob, np.float32).reshape(3, len(body["items"]), -1)
        return cls(**columns, **told, contexts=contexts)


@dataclass(frozen=True)
class Said:
    """What a client says somebody did with an item of a list, before that list is looked up."""

    list_id: str
    item: str
    kind: str
    time: int


@dataclass(frozen=True)
class Feedback:
    """That of the list `number`, in its `slot` (from 0)."""

    seq: int
    number: int
    slot: int
    kind: str
    time: int
