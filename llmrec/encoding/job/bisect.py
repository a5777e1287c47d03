"""A bad row costs itself only: a batch that fails is halved until the row that breaks it stands alone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from llmrec.encoding.encoders.encoder import Encoded, EncodingError, TextEncoder

_TRIES = 3  # of a single row, before it counts as bad
_PAUSE_S = 0.2  # doubled after every try: what is transient needs time to pass
_PROBE = "a"


@dataclass
class Outcome:
    """What became of a batch: `encoded` holds the vectors of `rows`; `failures` the engine's message per other row."""

    rows: list[int] = field(default_factory=list)
    parts: list[Encoded] = field(default_factory=list)
    failures: dict[int, str] = field(default_factory=dict)

    @property
    def encoded(self) -> Encoded:
        """The vectors of `rows`, in that order."""
        vectors = np.concatenate([p.vectors for p in self.parts])
        n_tokens = np.concatenate([p.n_tokens for p in self.parts])
        return Encoded(vectors, n_tokens, np.concatenate([p.n_unknown for p in self.parts]))


def encode_surviving(encoder: TextEncoder, texts: Sequence[str]) -> Outcome:
    """Encode what can be encoded. Raises EncodingError where not even the probe text passes: then it is the engine."""
    outcome = Outcome()
    _encode(encoder, texts, list(range(len(texts))), outcome)
    if texts and len(outcome.failures) == len(texts):
        _probe(encoder, len(texts), next(iter(outcome.failures.values())))
    return outcome


def _encode(encoder: TextEncoder, texts: Sequence[str], rows: list[int], outcome: Outcome) -> None:
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


def _encode_alone(encoder: TextEncoder, text: str, row: int, error: Exception, outcome: Outcome) -> None:
    for attempt in range(_TRIES - 1):
        time.sleep(_PAUSE_S * 2**attempt)
        try:
            return _keep(encoder.encode([text]), [row], outcome)
        except Exception as again:
            error = again
    outcome.failures[row] = f"{type(error).__name__}: {error}"
    return None


def _keep(encoded: Encoded, rows: list[int], outcome: Outcome) -> None:
    good = np.isfinite(encoded.vectors).all(axis=1)
    for at in np.flatnonzero(~good):
        outcome.failures[rows[at]] = "the engine's vector is not finite"
    kept = np.flatnonzero(good)
    outcome.rows += [rows[at] for at in kept]
    outcome.parts.append(Encoded(encoded.vectors[kept], encoded.n_tokens[kept], encoded.n_unknown[kept]))


def _probe(encoder: TextEncoder, n_texts: int, message: str) -> None:
    try:
        works = bool(np.isfinite(encoder.encode([_PROBE]).vectors).all())
    except Exception:
        works = False
    if not works:
        raise EncodingError(
            f"the encoder fails on every text: all {n_texts} of this batch, and the probe {_PROBE!r}. It says: "
            f"{message}. Vectors committed so far are kept; mend the encoder or its configuration and run again."
        )
