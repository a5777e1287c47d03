"""Let the registry's CURRENT name this run's bundle, or, with --rollback, the one before."""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec import registry
from llmrec.config import RunConfig
from llmrec.pipeline import run_stage
from llmrec.storage import Storage


def publish_job(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """The pointer that CURRENT now holds. Raises BundleError where there is nothing to go back to."""
    if args.rollback:
        return {"stage": "publish", "published": registry.rollback(storage, config.name)}
    run = run_stage(config, storage, "publish", report)
    return {"stage": "publish", "artifacts": describe(run), "published": run.published}


if __name__ == "__main__":
    arguments = parser(__doc__ or "")
    arguments.add_argument("--rollback", action="store_true", help="name the version before CURRENT's, once it answers")
    raise SystemExit(main(publish_job, arguments))
