"""The rival of `benchmarks.tune`: sentence-transformers' model and MultipleNegativesRankingLoss, in a plain loop.

Runs as a script, in the rival's own environment where there is one, and imports nothing of llmrec:
`tune_rivals.py MODEL PAIRS.json BATCH STEPS MAX_TOKENS DTYPE THREADS`. (Their `fit` and their Trainer need the package
`datasets`; this is what either does in a step.) Prints `{"seconds": …, "peak_bytes": …}` of all steps but the first.
"""

import json
import resource
import sys
import time
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss


def main(model: str, pairs: str, batch: int, steps: int, max_tokens: int, dtype: str, threads: int) -> None:
    """Step through the pairs, a batch at a time."""
    torch.set_num_threads(threads)
    made = SentenceTransformer(model, device="cpu")
    made.max_seq_length = max_tokens
    rows = json.loads(Path(pairs).read_text(encoding="utf-8"))
    loss_of = MultipleNegativesRankingLoss(made)
    optimizer = torch.optim.AdamW(made.parameters(), lr=5e-5)
    made.train()
    started = 0.0
    for step in range(steps):
        if step == 1:
            started = time.perf_counter()
        some = rows[step * batch : (step + 1) * batch]
        features = [made.preprocess([pair[side] for pair in some]) for side in (0, 1)]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = loss_of(features, torch.zeros(0))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_bytes": peak}))


if __name__ == "__main__":
    batch_, steps_, tokens_ = map(int, sys.argv[3:6])
    main(sys.argv[1], sys.argv[2], batch_, steps_, tokens_, sys.argv[6], int(sys.argv[7]))
