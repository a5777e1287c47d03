"""A bad row costs itself only; an engine that fails on everything stops the run."""

from collections.abc import Sequence

import numpy as np
import pytest
from encoding_stub import STUB, StubEncoder, stub_vector

from llmrec.encoding import Encoded, EncodingError
from llmrec.encoding.job import bisect
from llmrec.encoding.job.bisect import encode_surviving


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bisect, "_PAUSE_S", 0.0)


class Flaky(StubEncoder):
    """Fails the first `failures` calls."""

    failures = 0

    def encode(self, texts: Sequence[str], kind: str = "document") -> Encoded:
        if self.failures > 0:
            self.failures -= 1
            raise TimeoutError("engine busy")
        return super().encode(texts, kind)


class NotFinite(StubEncoder):
    def encode(self, texts: Sequence[str], kind: str = "document") -> Encoded:
        encoded = super().encode(texts, kind)
        encoded.vectors[[at for at, text in enumerate(texts) if text == "odd"]] = np.nan
        return encoded


@pytest.mark.parametrize("bad", [[0], [12], [5, 6], [0, 3, 12]])
def test_only_the_bad_rows_fail(bad: list[int]) -> None:
    texts = [f"text {n}" for n in range(13)]
    for at in bad:
        texts[at] = f"POISON {at}"
    outcome = encode_surviving(StubEncoder(STUB), texts)
    assert sorted(outcome.failures) == bad
    assert set(outcome.failures.values()) == {"RuntimeError: cannot digest this"}
    assert sorted(outcome.rows) == [at for at in range(13) if at not in bad]
    expected = np.array([stub_vector(texts[row]) for row in outcome.rows])
    np.testing.assert_array_equal(outcome.encoded.vectors, expected)


def test_what_is_transient_passes_on_a_later_try() -> None:
    encoder = Flaky(STUB)
    encoder.failures = 2
    outcome = encode_surviving(encoder, ["only"])
    assert (outcome.rows, outcome.failures) == ([0], {})


def test_a_vector_that_is_not_finite_is_the_rows_fault() -> None:
    outcome = encode_surviving(NotFinite(STUB), ["even", "odd", "even too"])
    assert (outcome.rows, list(outcome.failures)) == ([0, 2], [1])


def test_an_engine_that_fails_on_everything_stops_the_run() -> None:
    with pytest.raises(EncodingError, match=r"all 3 of this batch, and the probe.*device lost"):
        encode_surviving(StubEncoder(STUB, broken=True), ["a", "b", "c"])


def test_a_batch_of_bad_rows_does_not_stop_the_run() -> None:
    outcome = encode_surviving(StubEncoder(STUB), ["POISON 1", "POISON 2"])
    assert (outcome.rows, sorted(outcome.failures)) == ([], [0, 1])


def test_nothing_in_nothing_out() -> None:
    outcome = encode_surviving(StubEncoder(STUB), [])
    assert (outcome.rows, outcome.failures) == ([], {})
