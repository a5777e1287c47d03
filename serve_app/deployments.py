"""The three deployments behind the ingress. Each is a plain class; `app.build` turns it into a Serve deployment."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from ray import serve

from llmrec.config import EncoderConfig
from llmrec.encoding import TextEncoder, make_encoder
from serve_app.hot_swap import ModelHotSwapper, ModelRepository, ServedVersion
from serve_app.messages import Candidates, Described, Kind, Listed, NotHeld, RequestUser, Vectors
from serve_app.model import Model

Request = tuple[list[str], Kind]


class Encoder:
    """Texts to vectors by the encoder that the batch job uses, in this process; requests that meet are joined."""

    def __init__(self, config: EncoderConfig, threads: int | None, batch_size: int, batch_wait_s: float) -> None:
        # One thread for the engine's whole life: OpenMP keeps one team of workers per calling thread.
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._encoder: TextEncoder = self._thread.submit(make_encoder, config, threads).result()
        self._joined.set_max_batch_size(batch_size)
        self._joined.set_batch_wait_timeout_s(batch_wait_s)

    async def encode(self, texts: list[str], kind: Kind) -> Vectors:
        """Vectors (len(texts), dim) of `texts`, in order."""
        found: Vectors | Exception = await self._joined((texts, kind))
        if isinstance(found, Exception):
            raise found
        return found

    async def describe(self) -> str:
        """The encoder's fingerprint."""
        return self._encoder.fingerprint

    @serve.batch(max_batch_size=1, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def _joined(self, requests: list[Request]) -> list[Vectors | Exception]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, encode_joined, self._encoder, requests)


def encode_joined(encoder: TextEncoder, requests: list[Request]) -> list[Vectors | Exception]:
    """One answer a request, from one call of the encoder for each kind of text; who breaks it breaks only itself."""
    answers: dict[int, Vectors | Exception] = {}
    for kind in ("document", "query"):
        members = [n for n, request in enumerate(requests) if request[1] == kind]
        parts = [requests[n][0] for n in members]
        answers |= zip(members, _encode(encoder, parts, kind), strict=True)
    return [answers[n] for n in range(len(requests))]


def _encode(encoder: TextEncoder, parts: list[list[str]], kind: Kind) -> list[Vectors | Exception]:
    if not parts:
        return []
    try:
        encoded = encoder.encode([text for part in parts for text in part], kind)
    except Exception as error:
        if len(parts) == 1:
            return [error]
        return [answer for part in parts for answer in _encode(encoder, [part], kind)]  # spare the others
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    columns = (np.split(column, cuts) for column in (encoded.vectors, encoded.n_tokens, encoded.n_unknown))
    return [
        Vectors(encoder.fingerprint, vectors, tokens.tolist(), unknown.tolist())
        for vectors, tokens, unknown in zip(*columns, strict=True)
    ]


class _Holding:
    """A deployment that answers from the bundle it holds; `user_config` is an `ServedVersion`."""

    def __init__(self, library: Callable[[], ModelRepository[Model]]) -> None:
        self._holder: ModelHotSwapper[Model] = ModelHotSwapper(library())

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Called by Serve at the start and, while requests run, whenever `user_config` changes."""
        await self._holder.obey(ServedVersion(**user_config))

    async def describe(self) -> Described:
        """The newest bundle held, and what was refused."""
        model = self._holder.get()
        assert not isinstance(model, NotHeld)  # reconfigure ran first, or the replica did not start
        return model.describe(self._holder.refused)


class Retriever(_Holding):
    """First stage: the items nearest to a shopper, or what is popular."""

    async def retrieve(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, version: str | None
    ) -> Candidates | NotHeld:
        """Candidates for the ranker, without what the shopper had and without `exclude`."""
        model = self._holder.get(version, user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.retrieve, user, exclude, time)

    async def similar(self, item_id: str, k: int) -> Listed:
        """The `k` items nearest to `item_id`; none, and the id under `unknown`, where the bundle does not know it."""
        model = self._holder.get()
        assert not isinstance(model, NotHeld)
        return await asyncio.to_thread(model.similar, item_id, k)


class Ranker(_Holding):
    """Second stage: candidates by the click model."""

    async def order(self, user: RequestUser, candidates: Candidates, k: int) -> Listed | NotHeld:
        """The `k` best of what the retriever found, by the bundle that found them."""
        model = self._holder.get(candidates.grounds.bundle)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.order, user, candidates, k)

    async def rank(self, user: RequestUser, candidates: list[str], time: int | None) -> Listed | NotHeld:
        """The known ones of `candidates`, by the probability of a click."""
        model = self._holder.get(encoder=user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.rank, user, candidates, time)
