"""Texts that wait for the encoder: it is called for a few at a time, and the ones that are due first go first.

A text that was encoded lately is answered at once.
"""

import asyncio
import hashlib
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import cachetools
import numpy as np

from llmrec.encoding import TextEncoder
from serve_app.messages import EncodedTexts, TextKind

#: A text is due this long after it came: long ones later, and those that nobody's recommendation waits for later still.
SECONDS_A_CHARACTER = 0.001
BULK_DELAY_S = 5.0
Row = tuple[np.ndarray[Any, np.dtype[np.float32]], int, int]  # vector (dim,), tokens, unknown ones


@dataclass(order=True)
class _Waiting:
    due: float
    place: int
    text: str = field(compare=False)
    kind: TextKind = field(compare=False)
    row: "asyncio.Future[Row]" = field(compare=False)


class EncodeQueue:
    """Joins texts of many requests into batches of `batch_size`; a long request is cut, and waits between its parts."""

    def __init__(
        self, encoder: TextEncoder, thread: Executor, batch_size: int, batch_wait_s: float, remembered: int = 0
    ) -> None:
        """`remembered`: how many texts' vectors are kept, by the hash of kind and text."""
        self._encoder, self._thread = encoder, thread
        self._batch_size, self._batch_wait_s = batch_size, batch_wait_s
        self._heap: list[_Waiting] = []
        self._known: cachetools.LRUCache[bytes, Row] = cachetools.LRUCache(remembered)
        self._places = itertools.count()
        self._worker: asyncio.Task[None] | None = None

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        """Vectors (len(texts), dim) of `texts`, in order. Raises what the encoder raised for one of them."""
        rows = await asyncio.gather(*[self._push(text, kind, urgent) for text in texts])
        vectors, tokens, unknown = zip(*rows, strict=True)
        return EncodedTexts(self._encoder.fingerprint, np.stack(vectors), list(tokens), list(unknown))

    def _push(self, text: str, kind: TextKind, urgent: bool) -> "asyncio.Future[Row]":
        loop = asyncio.get_running_loop()
        known = self._known.get(_key(text, kind))
        if known is not None:
            row: asyncio.Future[Row] = loop.create_future()
            row.set_result(known)
            return row
        due = loop.time() + len(text) * SECONDS_A_CHARACTER + (0 if urgent else BULK_DELAY_S)
        waiting = _Waiting(due, next(self._places), text, kind, loop.create_future())
        heapq.heappush(self._heap, waiting)
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
        return waiting.row

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._heap:
            if len(self._heap) < self._batch_size:
                await asyncio.sleep(self._batch_wait_s)  # others may join
            batch = self._pop()
            texts = [(waiting.text, waiting.kind) for waiting in batch]
            rows = await loop.run_in_executor(self._thread, encode_batch, self._encoder, texts)
            for waiting, row in zip(batch, rows, strict=True):
                if self._known.maxsize and not isinstance(row, Exception):
                    vector = row[0].copy()  # a view would keep the whole batch
                    self._known[_key(waiting.text, waiting.kind)] = (vector, *row[1:])
                _settle(waiting.row, row)

    def _pop(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._heap and len(batch) < self._batch_size:
            waiting = heapq.heappop(self._heap)
            if not waiting.row.done():  # who asked may have gone
                batch.append(waiting)
        return batch


def _key(text: str, kind: TextKind) -> bytes:
    """What a text is remembered by: not by its words, which may be personal."""
    return hashlib.sha256(f"{kind}\0{text}".encode(errors="surrogatepass")).digest()


def _settle(future: "asyncio.Future[Row]", row: Row | Exception) -> None:
    if future.done():
        return
    if isinstance(row, Exception):
        future.set_exception(row)
    else:
        future.set_result(row)


def encode_batch(encoder: TextEncoder, batch: list[tuple[str, TextKind]]) -> list[Row | Exception]:
    """One row a text, from one call of the encoder for each kind; who breaks it breaks only itself."""
    rows: dict[int, Row | Exception] = {}
    for kind in ("document", "query"):
        members = [n for n, (_, its_kind) in enumerate(batch) if its_kind == kind]
        rows |= zip(members, _rows(encoder.encode, [batch[n][0] for n in members], kind), strict=True)
    return [rows[n] for n in range(len(batch))]


def _rows(encode: Callable[[list[str], TextKind], Any], texts: list[str], kind: TextKind) -> list[Row | Exception]:
    if not texts:
        return []
    try:
        found = encode(texts, kind)
    except Exception as error:
        if len(texts) == 1:
            return [error]
        return [row for text in texts for row in _rows(encode, [text], kind)]  # spare the others
    return list(zip(found.vectors, found.n_tokens.tolist(), found.n_unknown.tolist(), strict=True))
