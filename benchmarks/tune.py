"""How fast an encoder is tuned: our step beside sentence-transformers' on the same pairs, model, batch and precision.

    python -m benchmarks.tune [--batch 256] [--steps 3] [--rounds 2] [--threads 1]

Each run is a process of its own, so that its peak memory is its own; runs alternate, and the first step does not count.
Ours: batches by length, contrastive with logQ and masked false negatives. Theirs: `benchmarks/tune_rivals.py`. Texts/s
are of texts that go through the network, two a pair. Last line: JSON.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import RIVAL_PYTHON
from llmrec.config import EncoderConfig, SampleConfig, TuningConfig
from llmrec.config.text.precision import usual_precision
from llmrec.corpus.sample import generate
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.encoding.texts.corpus_texts import ids_and_texts
from llmrec.tuning.data import TuningData
from llmrec.tuning.fit import TuneTask, make_optimizer, one_step
from llmrec.tuning.gradients import Passes
from llmrec.tuning.network import load_network
from llmrec.tuning.objectives.base import Learning
from llmrec.tuning.objectives.registry import make_objective
from llmrec.tuning.texts import TuningTexts
from llmrec.workers.process_group import ProcessGroup


def write_pairs(path: Path, n: int) -> None:
    """n pairs of a review and its item's text, of the built-in corpus."""
    made = generate(SampleConfig(n_users=max(n // 8, 20), n_items=300, n_reviews=max(n, 400)))
    items = dict(zip(*ids_and_texts("item", made.items.to_pylist()), strict=True))
    rows = made.reviews.to_pylist()
    texts = ids_and_texts("review", rows)[1]
    pairs = [(text, items[row["item_id"]]) for text, row in zip(texts, rows, strict=True)]
    path.write_text(json.dumps(pairs[:n], ensure_ascii=False), encoding="utf-8")


def ours(path: str, args: argparse.Namespace) -> dict[str, float]:
    """Our own step, over as many pairs of the file."""
    torch.set_num_threads(args.threads)
    pairs = json.loads(Path(path).read_text(encoding="utf-8"))
    n, folder = len(pairs), model_folder("default")
    config = TuningConfig(
        objectives={"contrastive": 1.0}, pairs={"description": 1.0}, batch_size=args.batch, dtype=args.dtype,
        max_tokens=args.max_tokens, cache_gradients=args.cache_gradients, micro_batch=args.micro_batch,
    )  # fmt: skip
    told = [text for side in zip(*pairs, strict=True) for text in side]
    rows = np.arange(n)
    texts = TuningTexts(rows, rows, rows, np.full(n, np.nan), np.full(n, True), told, n, n)
    data = TuningData(texts, Tokenizer(folder, args.max_tokens)(told).ids, n, config, 7)
    network = load_network(EncoderConfig(), folder, args.dtype, dropout=True)
    objective = make_objective("contrastive", Learning(data, network, folder))
    task = TuneTask(network, {"contrastive": objective}, data, None)
    optimizer, passes = make_optimizer(task), Passes(ProcessGroup(), config.micro_batch, config.cache_gradients)
    started = 0.0
    for step in range(args.steps + 1):
        if step == 1:
            started = time.perf_counter()
        one_step(task, passes, optimizer, step)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": time.perf_counter() - started, "peak_bytes": peak}


def _run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[:4]} failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Alternate, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3, help="that count; one more comes before")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--micro-batch", type=int, default=32)
    parser.add_argument("--cache-gradients", action="store_true")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default=usual_precision())
    parser.add_argument("--ours", help="run our side alone, on this file of pairs")
    args = parser.parse_args()
    if args.ours:
        print(json.dumps(ours(args.ours, args)))
        return
    rival = str(RIVAL_PYTHON) if RIVAL_PYTHON.exists() else sys.executable
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "st": []}
    with tempfile.TemporaryDirectory() as scratch:
        pairs = Path(scratch) / "pairs.json"
        write_pairs(pairs, args.batch * (args.steps + 1))
        theirs = [str(model_folder("default")), str(pairs), args.batch, args.steps + 1, args.max_tokens, args.dtype,
                  args.threads]  # fmt: skip
        commands = {
            "ours": [sys.executable, "-m", "benchmarks.tune", "--ours", str(pairs), *sys.argv[1:]],
            "st": [rival, str(Path(__file__).with_name("tune_rivals.py")), *map(str, theirs)],
        }
        for _ in range(args.rounds):
            for name, command in commands.items():
                runs[name].append(_run(command))
                print(json.dumps({name: runs[name][-1]}), flush=True)
    texts = 2 * args.batch * args.steps
    speed = {name: [texts / run["seconds"] for run in some] for name, some in runs.items()}
    peak = {name: max(run["peak_bytes"] for run in some) for name, some in runs.items()}
    paired = [one / two for one, two in zip(speed["ours"], speed["st"], strict=True)]
    print(json.dumps({
        "benchmark": "tune", "ratio_vs_st": round(float(np.median(paired)), 3), "ratios": [round(r, 3) for r in paired],
        "memory_ratio": round(peak["ours"] / peak["st"], 3),
        "texts_per_s": {name: [round(s, 1) for s in some] for name, some in speed.items()},
        "peak_mb": {name: round(b / 2**20) for name, b in peak.items()},
        "batch": args.batch, "threads": args.threads, "dtype": args.dtype, "cached": args.cache_gradients,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
