"""A bad row costs itself only: a batch that fails is halved until the row that breaks it stands alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from llmrec.encoding.encoders.encoder import EncodingError

_TRIES = 3  # of a single row, before it counts as bad
_PAUSE_S = 0.2  # doubled after every try: what is transient needs time to pass
_PROBE = "a"


class Made(Protocol):
    """What a worker makes of n texts: `Encoded`, or what a reader read."""

    @property
    def n_tokens(self) -> npt.NDArray[np.int32]: ...

    @property
    def n_unknown(self) -> npt.NDArray[np.int32]: ...

    def usable(self) -> npt.NDArray[np.bool_]: ...

    def take(self, rows: npt.NDArray[np.intp]) -> Self: ...

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self: ...


class TextWorker(Protocol):
    """What an actor holds: an encoder, or a reader."""

    @property
    def fingerprint(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> Any: ...


@dataclass
class Outcome:
    """What became of a batch: `encoded` is what was made of `rows`; `failures` the engine's message per other row."""

    rows: list[int] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)  # of Made
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def encoded(self) -> Any:
        """What was made of `rows`, in that order; there is one at least."""
        return type(self.parts[0]).joined(self.parts)


def encode_surviving(encoder: TextWorker, texts: Sequence[str]) -> Outcome:
    """Encode what can be encoded. Raises EncodingError where not even the probe text passes: then it is the engine."""
    outcome = Outcome()
    _encode(encoder, texts, list(range(len(texts))), outcome)
    if texts and len(outcome.failures) == len(texts):
        _probe(encoder, len(texts), next(iter(outcome.failures.values())))
    return outcome


def _encode(encoder: TextWorker, texts: Sequence[str], rows: list[int], outcome: Outcome) -> None:
    try:
        encoded = encoder.encode([texts[row] for row in rows])
    except Exception as error:
        if len(rows) == 1:
            _encode_alone(encoder, texts[rows[0]], rows[0], error, outcome)
        else:
            middle = len(rows) // 2
            _encode(encoder, texts, rows[:middle], outcome)
            _encode(encoder, texts, rows[middle:], outcome)
        return
    _keep(encoded, rows, outcome)


def _encode_alone(encoder: TextWorker, text: str, row: int, error: Exception, outcome: Outcome) -> None:
    for attempt in range(_TRIES - 1):
        time.sleep(_PAUSE_S * 2**attempt)
        try:
            return _keep(encoder.encode([text]), [row], outcome)
        except Exception as again:
            error = again
    outcome.failures[row] = f"{type(error).__name__}: {error}"
    return None


def _keep(encoded: Made, rows: list[int], outcome: Outcome) -> None:
    good = encoded.usable()
    for at in np.flatnonzero(~good):
        outcome.failures[rows[at]] = "the engine's answer is not finite"
    kept = np.flatnonzero(good)
    outcome.rows += [rows[at] for at in kept]
    outcome.parts.append(encoded.take(kept))


def _probe(encoder: TextWorker, n_texts: int, message: str) -> None:
    try:
        works = bool(encoder.encode([_PROBE]).usable().all())
    except Exception:
        works = False
    if not works:
        raise EncodingError(
            f"the encoder fails on every text: all {n_texts} of this batch, and the probe {_PROBE!r}. It says: "
            f"{message}. What was committed so far is kept; mend the encoder or its configuration and run again."
        )
