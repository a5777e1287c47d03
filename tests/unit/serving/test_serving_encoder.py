"""The encoder's queue: requests that meet are joined, each gets its own vectors back, and the short ones go first."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from factories.serving import fake_vector

from llmrec.encoding import Encoded
from serve_app.deployments.encode_queue import EncodeQueue, encode_batch
from serve_app.messages import TextKind


class CountingEncoder:
    """Counts its calls, chokes on the word `poison`, and waits for the gate."""

    fingerprint = "fake-encoder"
    dim = 8

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, texts: Sequence[str], kind: TextKind = "document") -> Encoded:
        self.calls.append((list(texts), kind))
        assert self.gate.wait(5)
        if "poison" in texts:
            raise RuntimeError("the engine choked")
        counts = np.array([len(t.split()) for t in texts], np.int32)
        return Encoded(np.stack([fake_vector(kind + t) for t in texts]), counts, np.zeros_like(counts))


def make_queue(encoder: CountingEncoder, batch_size: int = 8, remembered: int = 0) -> EncodeQueue:
    return EncodeQueue(encoder, ThreadPoolExecutor(1), batch_size, 0.01, remembered)


def test_requests_that_meet_are_one_call_and_keep_their_own() -> None:
    encoder = CountingEncoder()

    async def story() -> None:
        queue = make_queue(encoder)
        requests = [["a b", "c"], ["d"], ["e", "f g h", "i"]]
        answers = await asyncio.gather(*(queue.encode(texts, "document", True) for texts in requests))
        for answer, texts in zip(answers, requests, strict=True):
            np.testing.assert_array_equal(answer.vectors, np.stack([fake_vector("document" + t) for t in texts]))
            assert answer.n_tokens == [len(t.split()) for t in texts]

    asyncio.run(story())
    assert [len(texts) for texts, _ in encoder.calls] == [6]


def test_queries_and_documents_are_not_mixed() -> None:
    encoder = CountingEncoder()
    rows = encode_batch(encoder, [("a", "query"), ("a", "document"), ("b", "query")])
    assert encoder.calls == [(["a"], "document"), (["a", "b"], "query")]
    vectors = [row[0] for row in rows if not isinstance(row, Exception)]
    np.testing.assert_array_equal(vectors, [fake_vector(t) for t in ("querya", "documenta", "queryb")])


def test_a_text_that_breaks_the_engine_breaks_its_own_request_only() -> None:
    async def story() -> None:
        queue = make_queue(CountingEncoder())
        good, bad, fine = await asyncio.gather(
            *(queue.encode(texts, "document", True) for texts in (["a"], ["b", "poison"], ["c"])),
            return_exceptions=True,
        )
        assert isinstance(bad, RuntimeError)
        assert not isinstance(good, BaseException)
        assert not isinstance(fine, BaseException)
        np.testing.assert_array_equal(fine.vectors, [fake_vector("documentc")])

    asyncio.run(story())


@pytest.mark.parametrize("gone", [False, True])
def test_a_newcomer_waits_for_one_batch_however_many_long_requests_came_before(gone: bool) -> None:
    encoder = CountingEncoder()
    long = "long " * 100

    async def story() -> None:
        queue = make_queue(encoder)
        encoder.gate.clear()
        bulk = [asyncio.create_task(queue.encode([f"{long}{n}"] * 16, "document", False)) for n in range(12)]
        await asyncio.sleep(0.05)  # the first batch is in the engine
        if gone:
            bulk[1].cancel()
        newcomer = asyncio.create_task(queue.encode(["a drum"], "document", True))
        await asyncio.sleep(0)
        encoder.gate.set()
        await newcomer
        assert [("a drum" in texts, len(texts) <= 8) for texts, _ in encoder.calls[:2]] == [(False, True), (True, True)]
        await asyncio.gather(*bulk, return_exceptions=True)

    asyncio.run(story())
    encoded = sum(len(texts) for texts, _ in encoder.calls)
    assert encoded == 1 + 16 * (11 if gone else 12)  # nobody's text is encoded who has gone


@pytest.mark.parametrize(("remembered", "calls"), [(0, 5), (1, 4), (2, 3)])
def test_a_text_that_came_lately_is_not_encoded_again(remembered: int, calls: int) -> None:
    encoder = CountingEncoder()

    async def story() -> None:
        queue = make_queue(encoder, remembered=remembered)
        for text, kind in (("a", "document"), ("a", "document"), ("a", "query"), ("a", "document"), ("琴", "query")):
            answer = await queue.encode([text], kind, True)
            np.testing.assert_array_equal(answer.vectors[0], fake_vector(kind + text))
            assert answer.n_tokens == [1]
        for _ in range(2):  # what failed is not remembered
            with pytest.raises(RuntimeError, match="choked"):
                await queue.encode(["poison"], "document", True)

    asyncio.run(story())
    assert len([texts for texts, _ in encoder.calls if texts != ["poison"]]) == calls
    assert sum(texts == ["poison"] for texts, _ in encoder.calls) == 2
