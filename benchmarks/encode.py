"""The encode stage against vLLM itself and against sentence-transformers, paired in one run.

    .venv/bin/python -m benchmarks.encode [--corpus REVIEWS] [--texts N] [--rounds R]

Every round times, on the same texts and cores: the stage (first batch's start to last commit), one `LLM.embed` call,
sentence-transformers in bfloat16 at the batch size that suits it best, and at its defaults (float32, batches of 32).
Starting Ray and the engines is not timed on either side. A ratio is the median over rounds of rival's seconds / ours.
Without sentence-transformers in `.venv-rivals` (`make rivals`) its ratios are null.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import RIVAL_PYTHON, RivalProcess

BATCH_SIZES = (8, 16, 32, 64, 128)
MAX_TOKENS = 256


def start_rival(kind: str, model: str) -> RivalProcess:
    """A process of `encode_rivals.py`; vLLM is in our own environment."""
    python = sys.executable if kind == "vllm" else RIVAL_PYTHON
    return RivalProcess(python, "encode_rivals.py", kind, model, str(MAX_TOKENS), HF_HUB_OFFLINE="1")


def rival_seconds(rival: RivalProcess, texts: Path, batch_size: int) -> float:
    """Time to encode the JSON list of strings in `texts`."""
    return float(rival.ask(texts=str(texts), batch_size=batch_size)["seconds"])


def corpus_texts(corpus: str | None) -> list[str]:
    """Texts of a file of Amazon reviews, of the development corpus, or of the built-in one."""
    from llmrec.encoding import review_text

    folder = Path(os.environ.get("LLMREC_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    found = [Path(corpus)] if corpus else sorted(folder.glob("reviews_Musical_Instruments_5.json.gz"))
    if found:
        data = found[0].read_bytes()
        lines = (gzip.decompress(data) if found[0].suffix == ".gz" else data).splitlines()
        rows = [json.loads(line) for line in lines]
        return [review_text(row.get("summary"), row.get("reviewText")) for row in rows]
    from llmrec.config import SampleConfig
    from llmrec.corpus.sample import generate

    reviews = generate(SampleConfig()).reviews.select(["title", "text"]).to_pylist()
    return [review_text(row["title"], row["text"]) for row in reviews]


def our_seconds(texts: Sequence[str], threads: int | None) -> float:
    """The encode stage on an empty store, on the running Ray cluster."""
    import pyarrow as pa

    from llmrec.config import EncodingConfig, RunConfig
    from llmrec.encoding import encode
    from llmrec.schema import ITEMS, REVIEWS
    from llmrec.storage import Storage

    rows = [
        {"review_id": f"r{n}", "user_id": "u", "item_id": "i", "timestamp": n, "event_order": n, "text": text}
        for n, text in enumerate(texts)
    ]
    with tempfile.TemporaryDirectory() as root:
        storage = Storage(root)
        with storage.build("corpus", "benchmark", module="llmrec.corpus", config={}, parents={}) as writer:
            writer.write_table("reviews", pa.Table.from_pylist(rows, schema=REVIEWS))
            writer.write_table("items", ITEMS.empty_table())
        corpus = storage.find("corpus", "benchmark")
        assert corpus is not None
        encoding = EncodingConfig(threads_per_actor=threads or "auto")
        made = encode(RunConfig(storage=root, encoding=encoding), storage, corpus)
        return float(made.manifest.info["encode_seconds"])


def measure(texts: list[str], rounds: int, threads: int | None) -> dict[str, Any]:
    """Seconds of every round and every rival."""
    import ray

    from llmrec.encoding.encoders.model_files import model_folder

    model = str(model_folder("default"))
    kinds = ["vllm"] + (["st_bf16", "st_default"] if RIVAL_PYTHON.exists() else [])
    rivals = {k: start_rival(k, model) for k in kinds}
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's default of 15 would yield to whatever else runs here
    ray.init(address="local", include_dashboard=False, configure_logging=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        everything, few = Path(folder) / "texts.json", Path(folder) / "few.json"
        everything.write_text(json.dumps(texts), encoding="utf-8")
        few.write_text(json.dumps(texts[:256]), encoding="utf-8")
        best = {"st_default": 32}
        if "st_bf16" in rivals:
            best["st_bf16"] = min(BATCH_SIZES, key=lambda size: rival_seconds(rivals["st_bf16"], few, size))
        seconds: dict[str, list[float]] = {"ours": [], **{k: [] for k in kinds}}
        for at in range(rounds):
            for name in sorted(seconds, reverse=at % 2 == 1):  # neither side always goes first
                taken = our_seconds(texts, threads) if name == "ours" else rival_seconds(
                    rivals[name], everything, best.get(name, 32)
                )  # fmt: skip
                seconds[name].append(taken)
                print(f"round {at + 1}: {name} {len(texts) / taken:.0f} texts/s", file=sys.stderr, flush=True)
    for rival in rivals.values():
        rival.close()
    ray.shutdown()
    return {"seconds": seconds, "st_batch_size": best.get("st_bf16")}


def main() -> None:
    """Print the rounds, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", help="JSON lines of Amazon reviews, gzipped or not")
    parser.add_argument("--texts", type=int, help="a random sample of so many texts (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="threads of our actor (default: automatic)")
    options = parser.parse_args()
    texts = sorted({text for text in corpus_texts(options.corpus) if text})
    random.Random(7).shuffle(texts)
    texts = texts[: options.texts]
    result = measure(texts, options.rounds, options.threads)
    seconds = result.pop("seconds")

    def ratio(name: str) -> float | None:
        pairs = [rival / ours for rival, ours in zip(seconds.get(name, []), seconds["ours"], strict=False)]
        return round(statistics.median(pairs), 3) if pairs else None

    print(json.dumps({
        "benchmark": "encode", "ratio_vs_vllm": ratio("vllm"), "ratio_vs_st_bf16": ratio("st_bf16"),
        "ratio_vs_st_default": ratio("st_default"),
        "texts_per_s": round(len(texts) / statistics.median(seconds["ours"]), 1), "texts": len(texts),
        "rounds": options.rounds, **result,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
