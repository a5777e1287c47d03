"""Events from the outside into the log: read as ingest reads them, and on the disk before they are acknowledged."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from llmrec.config import CorpusConfig
from llmrec.config.live import LiveConfig
from llmrec.corpus.values.clean import clean_text
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.ids import parse_id
from llmrec.corpus.values.stars import StarScale, parse_stars
from llmrec.corpus.values.times import parse_timestamp
from llmrec.encoding import item_text, review_text
from llmrec.live.event_log import Appended, ConflictError, Entry, EventLog, Fact
from serve_app.errors import ApiError, invalid_request
from serve_app.messages import EncoderClient
from serve_app.schemas.answers import Problem
from serve_app.schemas.live import EventRequest, ItemRequest

logger = logging.getLogger("ray.serve.llmrec")
#: Texts encoded at once, and the seconds between two looks for some, and after a failure.
_TEXTS, _LOOK_S, _REST_S = 32, 1.0, 2.0
_Waiting = tuple[list[Fact], "asyncio.Future[Appended]"]


@dataclass(frozen=True)
class IntakeSettings:
    """Where the log lies, its limits, and how the corpus's rows are read."""

    path: str
    live: LiveConfig
    corpus: CorpusConfig


class Intake:
    """One an ingress: its events are logged by one thread, those that meet in one commit."""

    def __init__(self, settings: IntakeSettings, encoder: EncoderClient) -> None:
        self._settings, self._encoder = settings, encoder
        self._thread = ThreadPoolExecutor(1, "event-log")
        self._log = EventLog(settings.path)
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        corpus = settings.corpus
        self._nothing = frozenset(word.lower() for word in corpus.missing)
        unrated = frozenset(v.strip().lower() if isinstance(v, str) else v for v in corpus.not_rated)
        self._scale = StarScale(corpus.stars_min, corpus.stars_max, unrated | self._nothing)
        self._full = False

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
                facts.append(self._fact(request, now))
            except _FieldError as error:
                problems.append(Problem(code=error.reason, message=error.expected, where=f"{where}.{error.name}"))
        if problems:
            raise invalid_request(tuple(problems))
        return await self._append(facts, several)

    async def put_item(self, item_id: str, request: ItemRequest) -> Appended:
        """Log what the item is from now on. Raises ApiError 422, 507."""
        title, brand, description, *categories = (
            self._clean(text) for text in (request.title, request.brand, request.description, *request.categories)
        )
        kept = list(dict.fromkeys(c for c in categories if c))
        words = item_text(title, brand, kept, description) or None
        begins, ends = self._window(request)
        said = {"title": title, "brand": brand, "categories": kept, "description": description, "price": request.price,
                "attributes": request.attributes, "words": words, "hidden": False,
                "available_from": begins, "available_until": ends}  # fmt: skip
        return await self._log_item(item_id, said)

    def _window(self, request: ItemRequest) -> tuple[int | None, int | None]:
        """From and until when (ms) an item may be listed; until 0 where it is not available. Raises ApiError 422."""
        try:
            begins, ends = (
                None if (told := getattr(request, name)) is None else self._read(name, parse_timestamp, told)
                for name in ("available_from", "available_until")
            )
            if begins is not None and ends is not None and ends <= begins:
                raise _FieldError("available_until", "ends_before_it_begins", "expected a time after available_from")
        except _FieldError as error:
            problem = Problem(code=error.reason, message=error.expected, where=f"body.{error.name}")
            raise invalid_request((problem,)) from None
        return begins, ends if request.available else 0

    async def hide(self, item_id: str) -> Appended:
        """Log that the item is in no list from now on."""
        return await self._log_item(item_id, {"hidden": True})

    async def _log_item(self, item_id: str, said: dict[str, Any]) -> Appended:
        try:
            name = parse_id(item_id, "item_id", self._nothing)
        except RowError as error:
            problem = Problem(code=error.reason, message=_expected(error), where="path.item_id")
            raise invalid_request((problem,)) from None
        return await self._append([Fact("item", name, said, said | {"time": int(time.time() * 1000)})], False)

    def _clean(self, text: str | None) -> str | None:
        corpus = self._settings.corpus
        return clean_text(text, corpus.max_text_chars, corpus.normalise_text).text

    def _fact(self, request: EventRequest, now: int) -> Fact:
        user, item = (self._read(name, parse_id, getattr(request, name), name, self._nothing)
                      for name in ("user_id", "item_id"))  # fmt: skip
        stars = self._read("stars", parse_stars, request.stars, self._scale)
        when = None if request.timestamp is None else self._read("timestamp", parse_timestamp, request.timestamp)
        ahead = self._settings.live.max_ahead_s
        if when is not None and when > now + 1000 * ahead:
            raise _FieldError("timestamp", "timestamp_in_future", f"expected a time at most {ahead:g} s ahead of now")
        text = self._clean(request.text)
        said = {"user": user, "item": item, "stars": stars, "words": text}
        return Fact("event", request.event_id, said | {"time": when}, said | {"time": now if when is None else when})

    @staticmethod
    def _read(name: str, parse: Any, *value: Any) -> Any:
        try:
            return parse(*value)
        except RowError as error:
            raise _FieldError(name, error.reason, _expected(error)) from None

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
        except sqlite3.Error as error:
            logger.error("live events: cannot write the log %s: %s", self._settings.path, error)
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


class _FieldError(ValueError):
    def __init__(self, name: str, reason: str, expected: str) -> None:
        super().__init__(reason)
        self.name, self.reason, self.expected = name, reason, expected


def _expected(error: RowError) -> str:
    """What was expected, without what was found: that is the caller's."""
    return "expected " + error.detail.rpartition("expected ")[2]
