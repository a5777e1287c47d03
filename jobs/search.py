"""Search for settings of the models: trials on validation within a budget, the best as a configuration."""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec import hyperparameters
from llmrec.config import RunConfig
from llmrec.files import copy_file
from llmrec.hyperparameters.stage import BEST, TRIALS
from llmrec.pipeline import run_pipeline
from llmrec.storage import Storage
from llmrec.variants import FAMILY_PATTERNS


def search(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """What has to be there first is made, then trials; the answer names the table and the configuration."""
    run = run_pipeline(config, storage, report, until="featurize")
    variant = args.variant or run.variants[0]
    made = hyperparameters.search(config, storage, run.artifacts["examples.validation"], variant)
    run.artifacts = {"hyperparameters": made}
    if args.out:
        copy_file(made.uri(BEST), args.out)
    files = {"best_config": args.out or made.uri(BEST), "trials_table": made.uri(f"{TRIALS}.parquet")}
    return {**made.manifest.info, **files, "artifacts": describe(run)}


if __name__ == "__main__":
    arguments = parser("Try settings of the models on validation; the best become a configuration file.")
    arguments.add_argument("--variant", choices=list(FAMILY_PATTERNS), help="whose models; by default those with text")
    arguments.add_argument("--out", help="where to write the best configuration too")
    raise SystemExit(main(search, arguments))
