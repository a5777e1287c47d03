"""Read the corpus: reviews, items and a quarantine table. `--check` reads and reports without writing."""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec import corpus
from llmrec.config import RunConfig
from llmrec.pipeline import run_stage
from llmrec.storage import Storage


def ingest(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Run the stage, or only look."""
    if args.check:
        return {"stage": "ingest", "check": corpus.check(config)}
    return {"stage": "ingest", "artifacts": describe(run_stage(config, storage, "ingest", report))}


if __name__ == "__main__":
    arguments = parser("Read the corpus: reviews, items and a quarantine table.")
    arguments.add_argument("--check", action="store_true", help="read and report, write nothing")
    raise SystemExit(main(ingest, arguments))
