"""The deployment that turns texts into vectors."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ray import serve

from llmrec.config import EncoderConfig
from llmrec.encoding import Encoder, make_encoder
from serve_app.messages import EncodedTexts, TextKind

Texts = tuple[list[str], TextKind]


class EncoderDeployment:
    """Texts to vectors by the encoder that the batch job uses, in this process; requests that meet are joined."""

    def __init__(self, config: EncoderConfig, threads: int | None, batch_size: int, batch_wait_s: float) -> None:
        # One thread for the service's whole life: OpenMP keeps one team of workers per calling thread.
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._encoder: Encoder = self._thread.submit(make_encoder, config, threads).result()
        self._joined.set_max_batch_size(batch_size)
        self._joined.set_batch_wait_timeout_s(batch_wait_s)

    async def encode(self, texts: list[str], kind: TextKind) -> EncodedTexts:
        """Vectors (len(texts), dim) of `texts`, in order."""
        found: EncodedTexts | Exception = await self._joined((texts, kind))
        if isinstance(found, Exception):
            raise found
        return found

    async def describe(self) -> str:
        """The encoder's fingerprint."""
        return self._encoder.fingerprint

    @serve.batch(max_batch_size=1, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def _joined(self, requests: list[Texts]) -> list[EncodedTexts | Exception]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, encode_joined, self._encoder, requests)


def encode_joined(encoder: Encoder, requests: list[Texts]) -> list[EncodedTexts | Exception]:
    """One answer a request, from one call of the encoder for each kind of text; who breaks it breaks only itself."""
    answers: dict[int, EncodedTexts | Exception] = {}
    for kind in ("document", "query"):
        members = [n for n, request in enumerate(requests) if request[1] == kind]
        parts = [requests[n][0] for n in members]
        answers |= zip(members, _encode(encoder, parts, kind), strict=True)
    return [answers[n] for n in range(len(requests))]


def _encode(encoder: Encoder, parts: list[list[str]], kind: TextKind) -> list[EncodedTexts | Exception]:
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
        EncodedTexts(encoder.fingerprint, vectors, tokens.tolist(), unknown.tolist())
        for vectors, tokens, unknown in zip(*columns, strict=True)
    ]
