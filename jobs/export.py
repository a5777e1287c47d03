"""The networks of a bundle as ONNX files, in 32 and in 8 bits, with what that costs in quality, size and time."""

import argparse
from pathlib import Path
from typing import Any

from jobs.cli import at_least, main, parser, report
from llmrec.bundle import Bundle
from llmrec.config import RunConfig
from llmrec.export import export
from llmrec.features.dataset.rows import read_examples
from llmrec.pipeline import run_pipeline
from llmrec.storage import Storage
from llmrec.variants import WITH_AND_WITHOUT


def export_job(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """What has to be there first is made; the answer is the table, which `export.json` holds too."""
    run = run_pipeline(config, storage, report, until="train")
    variant = args.variant or run.variants[0]
    if variant not in run.variants:
        raise ValueError(f"--variant {variant}: features.text is false, so that the run has {', '.join(run.variants)}")
    bundle = Bundle.load(run.artifacts[f"bundle.{variant}"].root)
    context = bundle.context
    clicks = read_examples(
        run.artifacts["examples.test"], "test", context.selection, context.history_length, clicks_only=True,
        with_pairs=False,
    )  # fmt: skip
    folder = Path(args.out)
    made = export(bundle, clicks, folder, config.evaluation.retrieve, args.queries, config.seed)
    return {"folder": str(folder), **made}


if __name__ == "__main__":
    arguments = parser(__doc__ or "")
    arguments.add_argument("--out", required=True, help="the folder to write to")
    arguments.add_argument("--variant", choices=WITH_AND_WITHOUT, help="whose models; by default those with text")
    arguments.add_argument("--queries", type=at_least(8), default=1000, help="test events whose lists are compared")
    raise SystemExit(main(export_job, arguments))
