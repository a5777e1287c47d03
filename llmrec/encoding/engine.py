"""The encoder that vLLM hosts. The only module that imports vLLM, and only once an encoder is made."""

import logging
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import EncoderConfig
from llmrec.encoding.encoder import Encoded, Kind, finish, prompted
from llmrec.encoding.fingerprint import encoder_fingerprint
from llmrec.encoding.model_files import max_positions, model_folder
from llmrec.encoding.pooling import TOKEN_POOLINGS
from llmrec.encoding.tokens import Tokenizer

log = logging.getLogger(__name__)

#: vLLM's own poolings.
_SEQUENCE_POOLINGS: Mapping[str, str] = MappingProxyType({"mean": "MEAN", "cls": "CLS", "last": "LAST"})
_CHUNK = 512  # texts tokenised at once, one chunk ahead of the engine
_MAX_SEQUENCES = 256


class VllmEncoder:
    """`vllm.LLM` as a pooling engine inside this process; one a process, which is all vLLM allows.

    `threads` are the CPU threads of the engine (default: all cores), `batch_tokens` the tokens of one engine step,
    `tensor_parallel` the GPUs that share the weights. Raises ValueError for a model or setting that cannot work.
    """

    def __init__(
        self, config: EncoderConfig, threads: int | None = None, *, batch_tokens: int = 8192, tensor_parallel: int = 1
    ) -> None:
        self._config = config
        self._fingerprint = encoder_fingerprint(config)
        folder = model_folder(config.model, config.revision)
        limit = max_positions(folder)
        if limit is not None and config.max_tokens > limit:
            raise ValueError(
                f"encoding.encoder.max_tokens: found {config.max_tokens}, expected at most {limit}, which "
                f"{config.model} was made for"
            )
        self._tokenizer = Tokenizer(folder, config.max_tokens, config.trust_remote_code)
        self._llm = _engine(config, str(folder), threads, batch_tokens, tensor_parallel)
        self._dim = int(self.encode(["warm up"]).vectors.shape[1])

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def encode(self, texts: Sequence[str], kind: Kind = "document") -> Encoded:
        """(n, dim) vectors of `texts`; raises whatever the engine raises for the worst of them."""
        batches = self._tokenizer.ahead(prompted(self._config, texts, kind), _CHUNK)
        pieces = [Encoded(self._embed(batch.ids), batch.n_tokens, batch.n_unknown) for batch in batches]
        if not pieces:
            return Encoded(np.zeros((0, self._dim), np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))
        return Encoded(*(np.concatenate(columns) for columns in zip(*map(_columns, pieces), strict=True)))

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
        outputs = self._llm.encode(prompts, pooling_task=task, use_tqdm=False)
        tensors = (output.outputs.data.float().numpy() for output in outputs)
        return np.stack([row if pool is None else pool(row) for row in tensors])


def _columns(encoded: Encoded) -> tuple[npt.NDArray[Any], ...]:
    return encoded.vectors, encoded.n_tokens, encoded.n_unknown


def _engine(config: EncoderConfig, folder: str, threads: int | None, batch_tokens: int, tensor_parallel: int) -> Any:
    _set_environment(threads)
    from vllm import LLM  # after the environment is set, which vLLM reads when it is imported

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


def _set_environment(threads: int | None) -> None:
    """What vLLM's CPU build needs to share a machine; does nothing to what the user has set."""
    if threads is not None:
        threads = min(threads, os.cpu_count() or threads)  # a local cluster may count more CPUs than there are
        os.environ["OMP_NUM_THREADS"] = str(threads)
        import torch

        torch.set_num_threads(threads)
    for name, value in {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine lives in this process: no copies, no second interpreter
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; by default it takes nearly all memory
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # by default two actors may pin themselves to the same core
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }.items():
        os.environ.setdefault(name, value)
