"""Read the reviews: sentiment, aspects, attributes, topics, by the reader that `reading.reader` names.

`--check` pays for nothing: it counts, prices, and shows ten readings beside their texts.
"""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec.config import RunConfig
from llmrec.pipeline import run_stage
from llmrec.storage import Storage


def read(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Run the stage."""
    if config.reading.reader is None:
        raise ValueError("reading.reader: found none, expected a reader's name; `python -m jobs.config --list`")
    run = run_stage(config, storage, "read", report)
    return {"stage": "read", "artifacts": describe(run)}


if __name__ == "__main__":
    raise SystemExit(main(read, parser("Read what the reviews say.")))
