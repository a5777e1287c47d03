"""Bundles of different encoders side by side: a text meets the bundle that was made with its encoder."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories.bundles import make_bundle
from httpx import ASGITransport

from llmrec.config import EncoderConfig, ServingConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.registry import publish
from llmrec.storage import Storage
from serve_app.api import make_api
from serve_app.deployments.encoder import EncoderDeployment
from serve_app.deployments.stages import RecommenderDeployment
from serve_app.encoders import needed_encoder, open_encoders
from serve_app.hot_swap import BundleRefusedError
from serve_app.model import open_repository
from serve_app.service import RecommendationService

NAME = "demo"
SERVING = ServingConfig(retrieve=20, max_k=20, request_timeout_s=2)
ENCODERS = {"wide": EncoderConfig(backend="hashing", dimension=64), "plain": EncoderConfig(backend="hashing")}
OF = {"first": "wide", "sister": "wide", "other": "plain"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    storage = Storage(str(tmp_path_factory.mktemp("encoders")))
    for seed, (version, name) in enumerate(OF.items()):
        encoder = ENCODERS[name]
        dim, fingerprint = encoder.dimension or 256, encoder_fingerprint(encoder)
        made = make_bundle(storage, version, seed=seed, dim=dim, encoder=encoder, fingerprint=fingerprint)
        if version == "first":
            publish(storage, made, NAME)
    return storage


class Server:
    """Encoder and Recommender of one process, each told by itself which bundle to hold."""

    def __init__(self, storage: Storage) -> None:
        self.encoder = EncoderDeployment(lambda: open_encoders(storage.root, NAME, SERVING), 1, 8, 0.001, 0)
        self.recommender = RecommenderDeployment(lambda: open_repository(storage.root, NAME, 20))
        self.service = RecommendationService.over(
            self.encoder, self.recommender, self.recommender, SERVING, self.recommender
        )

    async def ask(self) -> dict[str, Any]:
        """Bundle and basis of an answer to a newcomer's words, which must rest on these words."""
        async with httpx.AsyncClient(transport=ASGITransport(make_api(self.service)), base_url="http://here") as client:
            answer = await client.post("/v1/recommend", json={"text": "word1 word2"})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        assert body["basis"] == "text"
        return body


def told(storage: Storage, story: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        server = Server(storage)
        await asyncio.gather(*(part.reconfigure({"bundle": "first"}) for part in (server.encoder, server.recommender)))
        await story(server)

    asyncio.run(run())


def test_words_in_the_old_encoders_space_are_read_by_the_old_bundle(storage: Storage) -> None:
    async def story(server: Server) -> None:
        before = "first"
        for version in ("other", "first", "other"):
            await server.recommender.reconfigure({"bundle": version})
            assert (await server.ask())["bundle"] == before
            await server.encoder.reconfigure({"bundle": version})
            assert (await server.ask())["bundle"] == version
            assert await server.encoder.describe() == encoder_fingerprint(ENCODERS[OF[version]])
            before = version

    told(storage, story)


def test_words_in_the_new_encoders_space_wait_for_the_new_bundle(storage: Storage) -> None:
    async def story(server: Server) -> None:
        await server.encoder.reconfigure({"bundle": "other"})
        answer = asyncio.create_task(server.ask())
        await asyncio.sleep(0.1)
        assert not answer.done()
        await server.recommender.reconfigure({"bundle": "other"})
        assert (await answer)["bundle"] == "other"
        await server.encoder.reconfigure({"bundle": "first"})
        assert (await server.ask())["bundle"] == "first"  # which is still held

    told(storage, story)


def test_bundles_of_one_encoder_share_it_and_going_back_makes_none(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serve_app.deployments import encoder as module

    made: list[EncoderConfig] = []
    real = module.make_encoder
    monkeypatch.setattr(module, "make_encoder", lambda config, threads: (made.append(config), real(config, threads))[1])

    async def story(server: Server) -> None:
        for version in ("sister", "first", "other", "first", "other"):
            await server.encoder.reconfigure({"bundle": version})

    told(storage, story)
    assert [config.dimension for config in made] == [64, None]


def test_an_encoder_that_may_not_run_is_refused_and_the_old_one_encodes_on(storage: Storage) -> None:
    make_bundle(storage, "alien", encoder=ENCODERS["plain"], fingerprint="another")
    make_bundle(storage, "code", encoder=EncoderConfig(trust_remote_code=True), fingerprint="any")

    async def story(server: Server) -> None:
        for version in ("alien", "code", "gone"):
            await server.encoder.reconfigure({"bundle": version})
            assert await server.encoder.describe() == encoder_fingerprint(ENCODERS["wide"])
        assert (await server.ask())["bundle"] == "first"

    told(storage, story)
    for version, message in (("alien", "expected the same weights"), ("code", "asks for trust_remote_code")):
        with pytest.raises(ValueError, match=message):
            needed_encoder(storage, version, SERVING)


def test_without_any_encoder_the_replica_does_not_start(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    publish(storage, make_bundle(storage, "alien", encoder=ENCODERS["plain"], fingerprint="another"), NAME)
    lonely = EncoderDeployment(lambda: open_encoders(storage.root, NAME, SERVING), 1, 8, 0.001, 0)
    with pytest.raises(BundleRefusedError, match="expected the same weights"):
        asyncio.run(lonely.reconfigure({"bundle": "alien"}))
