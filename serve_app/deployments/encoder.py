"""The deployment that turns texts into vectors."""

from concurrent.futures import ThreadPoolExecutor

from llmrec.config import EncoderConfig
from llmrec.encoding import make_encoder, on_this_machine
from serve_app.deployments.encode_queue import EncodeQueue
from serve_app.messages import EncodedTexts, TextKind


class EncoderDeployment:
    """Texts to vectors by the encoder that the batch job uses, in this process; requests that meet are joined.

    `fetch`: whether its model may be downloaded; `remembered`: how many texts' vectors are kept.
    """

    def __init__(
        self,
        config: EncoderConfig,
        fetch: bool,
        threads: int | None,
        batch_size: int,
        batch_wait_s: float,
        remembered: int,
    ) -> None:
        # One thread for the engine's whole life: OpenMP keeps one team of workers per calling thread.
        thread = ThreadPoolExecutor(1, "encoder")
        self._encoder = thread.submit(make_encoder, on_this_machine(config, fetch), threads).result()
        self._queue = EncodeQueue(self._encoder, thread, batch_size, batch_wait_s, remembered)

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        """Vectors (len(texts), dim) of `texts`, in order; `urgent` ones before the others."""
        return await self._queue.encode(texts, kind, urgent)

    async def describe(self) -> str:
        """The encoder's fingerprint."""
        return self._encoder.fingerprint
