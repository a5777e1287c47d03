"""What every reader is, and what the driver hands to the actors so that each makes the same one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmrec.config import ReviewReadingConfig, RunConfig
from llmrec.reading.reading import Reading, Readings
from llmrec.storage import Artifact, Storage


@dataclass(frozen=True)
class ReadInputs:
    """What a reader may be made from. Stars and texts from T1 on are not looked at."""

    config: RunConfig
    storage: Storage
    corpus: Artifact
    embeddings: Artifact | None


@dataclass(frozen=True)
class ReaderSpec:
    """A reader as data: its name, settings, what was made for it, and the fingerprint of all that decides a reading."""

    name: str
    settings: ReviewReadingConfig
    state: Mapping[str, Any]
    fingerprint: str

    def served(self) -> dict[str, Any]:
        """What a bundle takes along, as JSON: `reading.served.ServedReader`."""
        learned = {name: self.state[name].tolist() for name in ("weights", "bias") if name in self.state}
        return {"name": self.name, "fingerprint": self.fingerprint, **learned}


class Reader(Protocol):
    """Texts in, readings out. `prepare` runs once, on the driver; then each actor makes one."""

    def __init__(self, spec: ReaderSpec, threads: int | None) -> None: ...

    @classmethod
    def prepare(cls, inputs: ReadInputs) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the actors need, what of it decides a reading and is JSON). Raises ValueError."""
        ...

    @property
    def fingerprint(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> Readings[Reading]:
        """The readings of `texts`, in order. A text that cannot be read has an `error`."""
        ...
