"""Events from the outside into the log: read as ingest reads them, and on the disk before they are acknowledged."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from llmrec.config import CorpusConfig
from llmrec.config.serving.live import LiveConfig
from llmrec.encoding import review_text
from llmrec.features.asof.logs.happened import Names
from llmrec.live.event_log import Appended, ConflictError, Entry, Fact, LogUnavailableError, open_event_log
from serve_app.errors import ApiError, invalid_request
from serve_app.event_facts import FactReader, FieldError, problem_fields
from serve_app.messages import EncoderClient
from serve_app.schemas.answers import Problem
from serve_app.schemas.live import EventRequest, ItemRequest

logger = logging.getLogger("ray.serve.llmrec")
#: Texts encoded at once, and the seconds between two looks for some, and after a failure.
_TEXTS, _LOOK_S, _REST_S = 32, 1.0, 2.0
#: What a path names; the rest is the body's.
_IN_PATH = ("item_id", "user_id", "other")
_Waiting = tuple[list[Fact], "asyncio.Future[Appended]"]


@dataclass(frozen=True)
class IntakeSettings:
    """Where the log lies, its limits, how the corpus's rows are read, and what features know of."""

    path: str
    live: LiveConfig
    corpus: CorpusConfig
    known: Names


class Intake:
    """One an ingress: its events are logged by one thread, those that meet in one commit."""

    def __init__(self, settings: IntakeSettings, encoder: EncoderClient) -> None:
        self._settings, self._encoder = settings, encoder
        self._thread = ThreadPoolExecutor(1, "event-log")
        self._log = open_event_log(settings.path)
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._reader = FactReader(settings.corpus, settings.known, settings.live.max_ahead_s)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """While the application runs, words are encoded in the background."""
        speaker = asyncio.create_task(self._encode_words())
        yield
        speaker.cancel()

    def last(self) -> int:
        """The number of the log's last entry."""
        return self._log.last()

    async def events(self, requests: Sequence[EventRequest], several: bool) -> Appended:
        """Log all of them or none. Raises ApiError 422 naming fields, 409 for an id that says something else, 507."""
        facts, problems = list[Fact](), list[Problem]()
        now = int(time.time() * 1000)
        for place, request in enumerate(requests):
            where = f"body.events.{place}" if several else "body"
            try:
                facts.append(self._reader.event(request, now))
            except FieldError as error:
                problems.append(Problem(**problem_fields(error, where)))
        if problems:
            raise invalid_request(tuple(problems))
        return await self._append(facts, several)

    async def put_item(self, item_id: str, request: ItemRequest) -> Appended:
        """Log what the item is from now on. Raises ApiError 422, 507."""
        return await self._append_one(partial(self._reader.item, item_id, request))

    async def hide(self, item_id: str) -> Appended:
        """Log that the item is in no list from now on. Raises ApiError 422, 507."""
        return await self._append_one(partial(self._reader.hidden, item_id))

    async def follow(self, user_id: str, other: str) -> Appended:
        """Log that the user follows the other from now on. Raises ApiError 422, 507."""
        return await self._append_one(partial(self._reader.follow, user_id, other))

    async def _append_one(self, read: Callable[[], Fact]) -> Appended:
        """Log a fact of which the path says what it is about."""
        try:
            fact = read()
        except FieldError as error:
            where = "path" if error.name in _IN_PATH else "body"
            raise invalid_request((Problem(**problem_fields(error, where)),)) from None
        return await self._append([fact], False)

    async def _append(self, facts: list[Fact], several: bool) -> Appended:
        logged: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append((facts, logged))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        try:
            return await logged
        except ConflictError as error:
            places = [f"body.events.{place}.event_id" if several else "body.event_id" for place in error.places]
            message = "taken by an event that says something else; nothing of this request was logged"
            details = tuple(Problem(code="conflict", message=message, where=where) for where in places)
            raise ApiError(409, "conflict", f"{len(places)} event id(s) are taken", details) from None
        except LogUnavailableError as error:
            logger.error("live events: cannot write the log %s", error)
            raise ApiError(503, "log_unavailable", "the log cannot be written; nothing was logged, try again") from None

    async def _write(self) -> None:
        """Whatever waits is logged in one commit, then whatever came meanwhile."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            batches, self._waiting = self._waiting, []
            try:
                done: Sequence[Appended | Exception] = await loop.run_in_executor(
                    self._thread, self._log_all, [facts for facts, _ in batches]
                )
            except Exception as error:
                done = [error] * len(batches)
            for (_, logged), result in zip(batches, done, strict=True):
                if logged.done():  # who asked may have gone
                    continue
                if isinstance(result, Exception):
                    logged.set_exception(result)
                else:
                    logged.set_result(result)

    def _log_all(self, batches: list[list[Fact]]) -> Sequence[Appended | Exception]:
        most = self._settings.live.max_events
        if self._log.last() + sum(map(len, batches)) > most:
            full = (
                f"the log holds {most} entries (serving.live.max_events); a new one, beside a bundle that knows these"
            )
            return [ApiError(507, "log_full", f"{full}, takes more")] * len(batches)
        return self._log.append(batches)

    async def _encode_words(self) -> None:
        """Encode what was written in events, for as long as the application runs."""
        after, pause_s, encoder = 0, 0.0, ""
        while True:
            await asyncio.sleep(pause_s)
            try:
                if (now := await self._encoder.describe()) != encoder:
                    encoder, after = now, 0  # another bundle's: from the beginning
                found = await asyncio.to_thread(self._log.unspoken, encoder, after, _TEXTS)
                pause_s = _LOOK_S
                if found:
                    by, vectors = await self._encoded(found)
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._log.speak, by, vectors)
                    after, pause_s = found[-1].seq, 0.0
            except Exception as error:  # encoder or disk are away for a while: the words are in the log
                logger.warning("live events: words wait: %s: %s", type(error).__name__, error)
                pause_s = _REST_S

    async def _encoded(self, entries: list[Entry]) -> tuple[str, list[tuple[int, Any]]]:
        """Vectors of words, None for those that the encoder refuses although it takes others."""
        texts = [review_text(None, entry.body["words"]) for entry in entries]
        seqs = [entry.seq for entry in entries]
        try:
            made = await self._encoder.encode(texts, "document", False)
            return made.encoder, list(zip(seqs, made.vectors, strict=True))
        except Exception:
            proof = await self._encoder.encode(["."], "document", False)  # raises where it takes nothing
        vectors = list[Any]()
        for text in texts:
            try:
                vectors.append((await self._encoder.encode([text], "document", False)).vectors[0])
            except Exception as error:
                logger.error("live events: words that the encoder refuses: %s", type(error).__name__)
                vectors.append(None)
        return proof.encoder, list(zip(seqs, vectors, strict=True))
