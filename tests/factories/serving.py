"""The application without Ray: real retriever, ranker and bundle, a fake encoder, all in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from factories.bundles import DIM, make_bundle, meant
from fastapi import FastAPI

from llmrec.config import CorpusConfig, ServingConfig
from llmrec.features.asof.logs.happened import Names
from llmrec.live_bundle import LogFile, besides
from llmrec.registry import publish
from llmrec.storage import Storage
from serve_app.api import make_api
from serve_app.deployments.stages import RankerDeployment, RetrieverDeployment
from serve_app.intake import Intake, IntakeSettings
from serve_app.messages import EncodedTexts, TextKind
from serve_app.middleware.keys import KeyRing
from serve_app.model import open_repository
from serve_app.operator import Console, ConsoleSettings
from serve_app.service import RecommendationService
from serve_app.trials import ExposureSettings, Recorder, Trials

NAME = "demo"
#: Of a bundle made `eventful`.
EVENTFUL = CorpusConfig.model_validate({
    "source": "table", "events": ["events.csv"], "relations": ["relations.csv"], "outcome": "purchase",
    "event_kinds": {"Add to Cart": "add_to_basket"}, "event_repeats": {"watch": "sum"},
})  # fmt: skip
#: Limits that a test reaches at once.
SMALL = {"max_body_bytes": 100_000, "max_text_chars": 500, "max_candidates": 50, "max_k": 20, "max_texts": 4,
         "max_encode_chars": 900, "max_liked": 10, "max_exclude": 30, "request_timeout_s": 2, "body_timeout_s": 0.2,
         "text_timeout_s": 1, "retrieve": 20}  # fmt: skip


def fake_vector(text: str, dim: int = DIM) -> np.ndarray:
    """(dim,) a unit vector that only the text decides."""
    draw = np.random.default_rng(list(text.encode()))
    vector = draw.normal(size=dim)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


class FakeEncoder:
    """Stands for the Encoder deployment."""

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        n = [len(text.split()) for text in texts]
        return EncodedTexts("fake-encoder", np.stack([fake_vector(t) for t in texts]), n, [0] * len(n))

    async def describe(self) -> str:
        return "fake-encoder"


@dataclass
class Faulty:
    """`part`, but its calls meet `faults` first: an exception each, or a coroutine function to await."""

    part: Any
    faults: list[Exception | Callable[[], Awaitable[None]]] = field(default_factory=list)

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, Exception):
                raise fault
            if fault is not None:
                await fault()
            return await getattr(self.part, method)(*args)

        return call


@dataclass
class Parts:
    """What an application is made of; `service()` and `app()` put it together."""

    storage: Storage
    encoder: Any
    retriever: Any
    ranker: Any
    config: ServingConfig
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    besides: Names = field(default_factory=Names)

    @property
    def log(self) -> str:
        """Where live events go, if they are on."""
        return self.config.live.path or f"{self.storage.root}/live.sqlite"

    @property
    def exposures(self) -> str:
        """Where lists are logged, if they are."""
        return f"{self.storage.root}/exposures.sqlite"

    def service(self) -> RecommendationService:
        intake = None
        if self.config.live.enabled:
            intake = Intake(IntakeSettings(self.log, self.config.live, self.corpus, self.besides), self.encoder)
        return RecommendationService.over(
            self.encoder, self.retriever, self.ranker, self.config, intake=intake, trials=self.trials()
        )

    def trials(self) -> Trials | None:
        shown = self.config.exposures
        if not shown.enabled:
            return None
        return Trials(
            self.config.experiments,
            Recorder(ExposureSettings(shown.path or self.exposures, self.log, shown, self.corpus.outcome)),
        )

    def app(self, keys: KeyRing | None = None) -> FastAPI:
        return make_api(self.service(), keys, Console(ConsoleSettings(self.storage.root, NAME)))

    async def serve(self, part: str, version: str, **order: Any) -> None:
        """Let one deployment hold `version`, as a changed `user_config` does."""
        await getattr(self, part).reconfigure({"bundle": version, **order})


class WordEncoder(FakeEncoder):
    """The encoder that made the vectors of a searchable bundle."""

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        none = [0] * len(texts)
        return EncodedTexts("fake-encoder", meant(texts), none, none)


def make_parts(root: str, searchable: bool = False, eventful: bool = False, **serving: Any) -> Parts:
    """Bundles `first` (CURRENT, served by both) and `second` under `root`; `eventful`: see `make_bundle`."""
    storage, config = Storage(root), ServingConfig(**serving)
    first = make_bundle(storage, "first", searchable=searchable, eventful=eventful)
    publish(storage, first, NAME)
    make_bundle(storage, "second", seed=1)

    def repository() -> Any:
        shown = parts.exposures if config.exposures.enabled else None
        log = LogFile(parts.log, config.live.max_events, 0.02, shown) if config.live.enabled else None
        return open_repository(storage.root, NAME, config.retrieve, log=log)

    parts = Parts(storage, WordEncoder() if searchable else FakeEncoder(), None, None, config)
    parts.retriever, parts.ranker = RetrieverDeployment(repository), RankerDeployment(repository)
    if eventful:
        parts.corpus, parts.besides = EVENTFUL, besides(first.root)
    for part in ("retriever", "ranker"):
        asyncio.run(parts.serve(part, "first"))
    return parts
