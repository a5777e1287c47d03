"""Read the corpus: reviews, items and a quarantine table. `--check` reads and reports without writing.

`--guess FILE…` needs no configuration: it prints a first one for files of reviews, items, events, users or relations,
which it tells apart by their columns, and what it doubts.
"""

import argparse
import sys
from collections.abc import Sequence
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
    run = run_stage(config, storage, "ingest", report)
    warnings = [one.described() for one in corpus.odd(config, run.artifacts["corpus"])]
    return {"stage": "ingest", "artifacts": describe(run), "warnings": warnings}


def guessed(paths: Sequence[str]) -> int:
    """Print a configuration for the files; 0: nothing is missing, 2: something is."""
    try:
        text, complete = corpus.guess(*paths)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text, end="")
    return 0 if complete else 2


if __name__ == "__main__":
    if sys.argv[1:2] == ["--guess"] and len(sys.argv) > 2:
        raise SystemExit(guessed(sys.argv[2:]))
    arguments = parser("Read the corpus: reviews, items and a quarantine table.")
    arguments.add_argument("--check", action="store_true", help="read and report, write nothing")
    arguments.add_argument("--guess", metavar="FILE", nargs="+", help="alone: print a first configuration for files")
    raise SystemExit(main(ingest, arguments))
