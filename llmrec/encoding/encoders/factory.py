"""One door to every encoder: the job's actors and the server's replica come through here and nowhere else."""

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.encoder import TextEncoder
from llmrec.encoding.encoders.engine import VllmEncoder


def make_encoder(
    config: EncoderConfig, threads: int | None = None, *, batch_tokens: int = 8192, tensor_parallel: int = 1
) -> TextEncoder:
    """The encoder that `config` describes, ready to encode, on `threads` CPU threads (None: all cores).

    vLLM's engines in one process take turns. A fitted static encoder is one that the encode stage has made: take its
    configuration from `encoder_config(embeddings)`. Raises ValueError for a model or a setting that cannot work.
    """
    if config.backend == "vllm":
        return VllmEncoder(config, threads, batch_tokens=batch_tokens, tensor_parallel=tensor_parallel)
    from llmrec.encoding.encoders.static.registry import (
        static_encoder,
    )  # scikit-learn, which the vLLM encoder does without

    return static_encoder(config)
