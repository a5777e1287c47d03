"""The deployment that turns texts into vectors."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from llmrec.encoding import make_encoder
from serve_app.deployments.encode_queue import EncodeQueue
from serve_app.encoders import NeededEncoder
from serve_app.hot_swap import ModelHotSwapper, ModelRepository, ServedVersion
from serve_app.messages import EncodedTexts, NotHeld, TextKind

logger = logging.getLogger("ray.serve.llmrec")


@dataclass(frozen=True)
class HeldEncoder:
    """An encoder that is ready, for the bundle `version`; bundles of one encoder share its queue."""

    version: str
    encoder: str  # fingerprint
    queue: EncodeQueue
    one_prompt: bool


class EncoderDeployment:
    """Texts to vectors by the encoder that the batch job used for the bundle in use; requests that meet are joined.

    It follows the registry as the bundle's deployments do, and keeps the encoder of the bundle before, so that going
    back costs nothing. `threads`: CPU threads (None: as many as Ray gives); `remembered`: texts whose vectors are kept.
    """

    def __init__(
        self,
        repository: Callable[[], ModelRepository[NeededEncoder]],
        threads: int | None,
        batch_size: int,
        batch_wait_s: float,
        remembered: int,
    ) -> None:
        # One thread for the engines' whole life: OpenMP keeps a team of workers per calling thread, and vLLM's engines
        # share what is global in their process.
        self._thread = ThreadPoolExecutor(1, "encoder")
        self._threads = threads
        self._batching = batch_size, batch_wait_s, remembered
        self._ready: WeakValueDictionary[str, EncodeQueue] = WeakValueDictionary()
        needed = repository()
        self._swapper = ModelHotSwapper(ModelRepository(needed.current, lambda v: self._hold(needed.load(v))))

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Called by Serve at the start and, while requests run, whenever `user_config` changes."""
        await self._swapper.serve(ServedVersion(**user_config))

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        """Vectors (len(texts), dim) of `texts`, in order; `urgent` ones before the others."""
        held = self._newest()
        return replace(await held.queue.encode(texts, kind, urgent), one_prompt=held.one_prompt)

    async def describe(self) -> str:
        """The fingerprint of the encoder in use."""
        return self._newest().encoder

    def _newest(self) -> HeldEncoder:
        held = self._swapper.get()
        assert not isinstance(held, NotHeld)  # reconfigure ran first, or the replica did not start
        return held

    def _hold(self, needed: NeededEncoder) -> HeldEncoder:
        queue = self._ready.get(needed.encoder)
        if queue is None:
            encoder = self._thread.submit(make_encoder, needed.config, self._threads).result()
            queue = self._ready[needed.encoder] = EncodeQueue(encoder, self._thread, *self._batching)
            logger.info("encoder %s is ready", needed.encoder)
        one_prompt = needed.config.query_prompt == needed.config.document_prompt
        return HeldEncoder(needed.version, needed.encoder, queue, one_prompt)
