"""The encoder that vLLM hosts. With the readers' engine the only module that imports vLLM, once one is made."""

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.encoder import Encoded, Kind, finish, prompted
from llmrec.encoding.encoders.fingerprint import encoder_fingerprint
from llmrec.encoding.encoders.model_files import max_positions, model_folder
from llmrec.encoding.encoders.pooling import TOKEN_POOLINGS
from llmrec.encoding.encoders.tokens import Tokenizer

log = logging.getLogger(__name__)

#: vLLM's own poolings.
_SEQUENCE_POOLINGS: Mapping[str, str] = MappingProxyType({"mean": "MEAN", "cls": "CLS", "last": "LAST"})
_CHUNK = 512  # texts tokenised at once, ahead of the engine
_MAX_SEQUENCES = 256
#: Engines of one process share vLLM's globals: two at work at once end it by a segmentation fault.
_ONE_AT_A_TIME = threading.Lock()


class VllmEncoder:
    """`vllm.LLM` as a pooling engine inside this process. Several take turns; the first one's `threads` hold for all.

    `threads` are the CPU threads of the engine (default: all cores), `batch_tokens` the tokens of one engine step,
    `tensor_parallel` the GPUs that share the weights. Raises ValueError for a model or setting that cannot work.
    """

    def __init__(
        self, config: EncoderConfig, threads: int | None = None, *, batch_tokens: int = 8192, tensor_parallel: int = 1
    ) -> None:
        self._config = config
        self._fingerprint = encoder_fingerprint(config)
        folder = model_folder(config.model, config.revision)
        set_environment()
        limit = max_positions(folder)
        if limit is not None and config.max_tokens > limit:
            raise ValueError(
                f"encoding.encoder.max_tokens: found {config.max_tokens}, expected at most {limit}, which "
                f"{config.model} was made for"
            )
        self._tokenizer = Tokenizer(folder, config.max_tokens, config.trust_remote_code)
        # The engine lives and works in one thread: it is made for one, and OpenMP counts its threads per caller.
        self._thread = ThreadPoolExecutor(1, "engine", initializer=set_threads, initargs=(threads,))
        self._llm = self._thread.submit(_engine, config, str(folder), batch_tokens, tensor_parallel).result()
        self._dim = int(self.encode(["warm up"]).vectors.shape[1])

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Encoded:
        """(n, dim) vectors of `texts`; raises whatever the engine raises for the worst of them."""
        whole = prompted(self._config, texts, kind)
        chunks = (whole[start : start + _CHUNK] for start in range(0, len(whole), _CHUNK))
        batches = ((tokens, self._thread.submit(self._embed, tokens.ids)) for tokens in map(self._tokenizer, chunks))
        running = list(batches)  # every chunk is tokenised here while the engine is at work on the ones before
        parts = [Encoded(vectors.result(), tokens.n_tokens, tokens.n_unknown) for tokens, vectors in running]
        if not parts:
            return Encoded(np.zeros((0, self._dim), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))
        return Encoded(*(np.concatenate(columns) for columns in zip(*map(_columns, parts), strict=True)))

    def _embed(self, ids: list[list[int]]) -> npt.NDArray[np.float32]:
        """(n, dim) in the order of `ids`; the engine gets the long texts first, so that its steps are alike."""
        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        prompts = [{"prompt_token_ids": ids[row]} for row in order]
        rows = self._pooled(prompts)
        vectors = np.empty_like(rows)
        vectors[order] = rows
        return finish(vectors, self._config.dimension, self._config.normalize)

    def _pooled(self, prompts: list[dict[str, list[int]]]) -> npt.NDArray[np.float32]:
        pool = TOKEN_POOLINGS.get(self._config.pooling)
        task = "embed" if pool is None else "token_embed"
        with _ONE_AT_A_TIME:
            outputs = self._llm.encode(prompts, pooling_task=task, use_tqdm=False)
        tensors = (output.outputs.data.float().numpy() for output in outputs)
        return np.stack([row if pool is None else pool(row) for row in tensors])


def _columns(encoded: Encoded) -> tuple[npt.NDArray[Any], ...]:
    return encoded.vectors, encoded.n_tokens, encoded.n_unknown


def _engine(config: EncoderConfig, folder: str, batch_tokens: int, tensor_parallel: int) -> Any:
    from vllm import LLM  # after the environment is set, which vLLM reads when it is imported

    with _ONE_AT_A_TIME:
        return LLM(
            folder,
            runner="pooling",
            convert="embed",
            pooler_config=_pooler(config),
            enforce_eager=True,  # compiling a small encoder takes longer than most corpora
            dtype=config.dtype,
            max_model_len=config.max_tokens,
            max_num_batched_tokens=max(batch_tokens, config.max_tokens),
            max_num_seqs=_MAX_SEQUENCES,
            tensor_parallel_size=tensor_parallel,
            trust_remote_code=config.trust_remote_code,
            enable_prefix_caching=False,  # no two texts are alike: the store has seen to that
            seed=0,
            disable_log_stats=True,
        )


def _pooler(config: EncoderConfig) -> Any:
    from vllm.config import PoolerConfig

    sequence = _SEQUENCE_POOLINGS.get(config.pooling)
    if sequence is None:
        return PoolerConfig(task="token_embed", use_activation=False)
    return PoolerConfig(task="embed", seq_pooling_type=sequence, use_activation=False)  # `finish` normalises


def set_threads(threads: int | None) -> None:
    if threads is None:
        return
    import torch

    os.environ["OMP_NUM_THREADS"] = str(threads)  # vLLM leaves the threads alone where this is set
    torch.set_num_threads(threads)


def set_environment() -> None:
    """What vLLM's CPU build needs to share a machine, before it is imported; leaves alone what the user has set."""
    for name, value in {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives in this process: no copies, no second interpreter
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; by default it takes nearly all memory
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # by default two actors may pin themselves to the same core
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",  # the model's folder is local by now
        "VLLM_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)
