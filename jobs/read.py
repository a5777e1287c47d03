"""Read the reviews: sentiment, aspects, attributes, topics, by the reader that `reading.reader` names; make profiles.

`--check` pays for nothing: it counts, prices, and shows ten readings beside their texts.
"""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec import reading
from llmrec.config import RunConfig
from llmrec.pipeline import FinishedStorage, Run, run_stage
from llmrec.storage import Storage


def read(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Run the stage."""
    if config.reading.reader is None:
        raise ValueError("reading.reader: found none, expected a reader's name; `python -m jobs.config --list`")
    if args.check:
        return {"stage": "read", "check": looked(config, storage)}
    run = run_stage(config, storage, "read", report)
    return {"stage": "read", "artifacts": describe(run)}


def looked(config: RunConfig, storage: Storage) -> dict[str, Any]:
    """What the stage would read, take and cost. Raises MissingStageError where the corpus has not been ingested."""
    run = Run(config, FinishedStorage(storage.root, wanted_by="read"))
    for stage in ("ingest", "tune", "encode") if config.reading.reader == "head" else ("ingest",):  # who needs vectors
        run.run(stage)
    return reading.check(config, storage, run.artifacts["corpus"], run.artifacts.get("embeddings"))


if __name__ == "__main__":
    arguments = parser("Read what the reviews say.")
    arguments.add_argument("--check", action="store_true", help="count, price, and show ten readings; store nothing")
    raise SystemExit(main(read, arguments))
