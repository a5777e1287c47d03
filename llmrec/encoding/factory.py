"""One door to every encoder: the job's actors and the server's replica come through here and nowhere else."""

from llmrec.config import EncoderConfig
from llmrec.encoding.encoder import Encoder
from llmrec.encoding.engine import VllmEncoder


def make_encoder(
    config: EncoderConfig, threads: int | None = None, *, batch_tokens: int = 8192, tensor_parallel: int = 1
) -> Encoder:
    """The encoder that `config` describes, ready to encode, on `threads` CPU threads (None: all cores).

    vLLM allows one engine a process. Raises ValueError for a model or a setting that cannot work.
    """
    return VllmEncoder(config, threads, batch_tokens=batch_tokens, tensor_parallel=tensor_parallel)
