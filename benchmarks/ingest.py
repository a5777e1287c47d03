"""Ingest of clean rows, paired: this tree, the same stage at a commit before it, and polars reading the same file.

The commit's tree is checked out with `git worktree` into a temporary folder. polars runs in .venv-rivals and only
reads and counts, which is less than ingest does. The last line is JSON:
{"benchmark": "ingest", "ratio_vs_before": …, "ratio_vs_polars": …}, rows/s of ours over the other's (above 1: faster).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BEFORE = "ee8d5c6"
_OURS = """
import json, sys, tempfile, time
from llmrec.config import RunConfig
from llmrec.corpus import ingest
from llmrec.storage import Storage
config = RunConfig.model_validate({"corpus": {"source": "amazon", "reviews": [sys.argv[1]]}})
with tempfile.TemporaryDirectory() as folder:
    started = time.perf_counter()
    rows = ingest(config, Storage(folder)).manifest.counts["rows_out"]
    print(json.dumps([rows, time.perf_counter() - started]))
"""
_POLARS = """
import json, sys, time
import polars
started = time.perf_counter()
rows = polars.read_ndjson(sys.argv[1]).height
print(json.dumps([rows, time.perf_counter() - started]))
"""


def write_rows(path: Path, n: int) -> None:
    """`n` clean reviews as JSON lines, each with some 60 words."""
    words = [f"word{k}" for k in range(500)]
    with path.open("w", encoding="utf-8") as out:
        for k in range(n):
            text = " ".join(words[(k * 31 + j * 7) % 500] for j in range(60))
            row = {"reviewerID": f"U{k % 5_003}", "asin": f"P{k}", "overall": float(1 + k % 5), "summary": f"Good {k}",
                   "unixReviewTime": 1_400_000_000 + k, "reviewText": text}  # fmt: skip
            out.write(json.dumps(row) + "\n")


def rows_a_second(python: str, script: str, tree: Path, path: Path) -> float:
    """Rows/s of one run in a process of its own. Raises RuntimeError where it fails."""
    environment = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(
        [python, "-c", script, str(path)], capture_output=True, text=True, cwd=tree, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{python}: {done.stderr[-2_000:]}")
    rows, seconds = json.loads(done.stdout.splitlines()[-1])
    return float(rows / seconds)


def measure(n: int, runs: int, rivals: str) -> dict[str, float]:
    """Median rows/s of each contestant, run in turns."""
    here = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as folder:
        path, before = Path(folder) / "reviews.json", Path(folder) / "before"
        write_rows(path, n)
        subprocess.run(["git", "worktree", "add", "--detach", str(before), BEFORE], cwd=here, check=True)
        try:
            contestants = {"ours": (sys.executable, _OURS, here), "before": (sys.executable, _OURS, before)}
            if Path(rivals).exists():
                contestants["polars"] = (rivals, _POLARS, here)
            found: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(runs):
                for name, (python, script, tree) in contestants.items():
                    found[name].append(rows_a_second(python, script, tree, path))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(before)], cwd=here, check=True)
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> int:
    """Print rows/s of each, then the ratios as one JSON line."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--rivals", default=".venv-rivals/bin/python", help="the Python that has polars")
    args = arguments.parse_args()
    found = measure(args.rows, args.runs, args.rivals)
    for name, rows in found.items():
        print(f"{name}: {rows:,.0f} rows/s")
    polars = found["ours"] / found["polars"] if "polars" in found else None
    answer = {"benchmark": "ingest", "ratio_vs_before": round(found["ours"] / found["before"], 3)}
    print(json.dumps(answer | {"ratio_vs_polars": polars and round(polars, 4)}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
