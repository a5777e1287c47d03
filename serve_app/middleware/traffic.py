"""What this process is busy with: requests under way, by client, and bytes of bodies that are arriving."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from llmrec.config import ServingConfig
from serve_app.errors import try_again

#: Bodies of the largest size that may lie in memory at once.
BUFFERED_BODIES = 256


class Traffic:
    """Bounds what is under way. Bodies that are still arriving hold no slot: slow ones keep nobody out."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._clients: Counter[str | None] = Counter()
        self._buffered = 0
        self.ongoing = 0
        self.reading = 0
        self.draining = False

    @contextmanager
    def slot(self, client: str | None) -> Iterator[None]:
        """A slot for one request that computes. Raises ApiError 429 where none is free, 503 while draining."""
        self._check(client)
        self.ongoing += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self.ongoing -= 1
            self._clients[client] -= 1

    def _check(self, client: str | None) -> None:
        if self.draining:
            raise self._refusal(503, "stopping", "this server is stopping")
        if self.ongoing >= self._config.max_ongoing_total:
            raise self._refusal(429, "overloaded", "too many requests are under way")
        if client is not None and self._clients[client] >= self._config.max_ongoing_per_key:
            raise self._refusal(429, "overloaded", "too many requests of this key are under way")

    def _refusal(self, status: int, code: str, message: str) -> Exception:
        return try_again(status, code, message, self._config.retry_after_s)

    @contextmanager
    def body(self) -> Iterator[bytearray]:
        """Where one body gathers; its bytes count as long as the block runs."""
        gathered = bytearray()
        self.reading += 1
        try:
            yield gathered
        finally:
            self.reading -= 1
            self._buffered -= len(gathered)

    def add(self, body: bytearray, chunk: bytes) -> None:
        """Append `chunk`. Raises ApiError 429 where bodies fill their share of memory."""
        body += chunk
        self._buffered += len(chunk)
        if self._buffered > BUFFERED_BODIES * self._config.max_body_bytes:
            raise self._refusal(429, "overloaded", "too many bodies are arriving")

    async def drain(self, patience_s: float) -> int:
        """Take nothing new and wait for what is under way; returns how many were still there when patience ended."""
        self.draining = True
        try:
            async with asyncio.timeout(patience_s):
                while self.ongoing:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        return self.ongoing
