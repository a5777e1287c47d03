"""The rivals of `benchmarks.encode`, each a process that waits for orders, so that runs can alternate.

Runs as a script in the rival's own environment and imports nothing of llmrec. Orders are JSON lines on stdin, answers
JSON lines on stdout: `{"texts": PATH, "batch_size": 32}` → `{"seconds": 1.23}`. The engine is built and warm before the
first answer.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM = ["warm up"] * 16


def vllm_embed(model: str, max_tokens: int) -> Callable[[list[str], int], Any]:
    """One `vllm.LLM.embed` call over all texts, tokenisation included."""
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", VLLM_CPU_OMP_THREADS_BIND="nobind",
        VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="ERROR",
    )  # fmt: skip
    from vllm import LLM

    llm = LLM(
        model, runner="pooling", enforce_eager=True, dtype="bfloat16", max_model_len=max_tokens,
        max_num_batched_tokens=8192, max_num_seqs=256, disable_log_stats=True,
    )  # fmt: skip
    cut = {"truncation": True, "max_length": max_tokens}
    return lambda texts, _: llm.embed(texts, use_tqdm=False, tokenization_kwargs=cut)


def sentence_transformers(model: str, dtype: str | None) -> Callable[[list[str], int], Any]:
    """`SentenceTransformer.encode` in `dtype`, or as it comes."""
    import torch
    from sentence_transformers import SentenceTransformer

    settings = {"model_kwargs": {"torch_dtype": getattr(torch, dtype)}} if dtype else {}
    made = SentenceTransformer(model, device="cpu", **settings)
    return lambda texts, batch_size: made.encode(texts, batch_size=batch_size, show_progress_bar=False)


def main(kind: str, model: str, max_tokens: int) -> None:
    """Answer orders until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the engines print goes to stderr
    if kind == "vllm":
        encode = vllm_embed(model, max_tokens)
    else:
        encode = sentence_transformers(model, {"st_bf16": "bfloat16", "st_default": None}[kind])
    encode(WARM, 16)
    for line in sys.stdin:
        order = json.loads(line)
        texts = json.loads(Path(order["texts"]).read_text(encoding="utf-8"))
        started = time.perf_counter()
        encode(texts, order["batch_size"])
        print(json.dumps({"seconds": time.perf_counter() - started}), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
