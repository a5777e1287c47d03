"""Tune the encoder on what was written before T1, by the objectives that `tuning.objectives` names."""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec.config import RunConfig
from llmrec.pipeline import run_stage
from llmrec.storage import Storage


def tune(config: RunConfig, storage: Storage, _: argparse.Namespace) -> dict[str, Any]:
    """Run the stage."""
    if not config.tuning.objectives:
        raise ValueError(
            "tuning.objectives: found none, expected names with weights, such as {contrastive: 1}; "
            "`python -m jobs.config --list`"
        )
    run = run_stage(config, storage, "tune", report)
    return {"stage": "tune", "artifacts": describe(run), "validation": run.artifacts["encoder"].manifest.info["curve"]}


if __name__ == "__main__":
    raise SystemExit(main(tune, parser("Tune the encoder on what was written before T1.")))
