"""All stages in order, skipping those whose inputs have not changed: raw reviews to a published model."""

import argparse
from typing import Any

from jobs.cli import describe, main, parser, report
from llmrec.config import RunConfig
from llmrec.pipeline import STAGES, run_pipeline
from llmrec.storage import Storage

#: The figures of the last line; the report has them all.
HEADLINE = ("recall@", "ndcg@", "mrr@", "auc", "log_loss", "rmse")


def headline_metrics(metrics: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Table → model → metric → value, of the metrics that HEADLINE names."""
    return {
        table: {model: {k: v for k, v in found.items() if k.startswith(HEADLINE)} for model, found in models.items()}
        for table, models in metrics.items()
    }


def pipeline(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Run the stages; the answer holds the row sum of the corpus and the metrics of the primary protocol."""
    run = run_pipeline(config, storage, report, args.until)
    counts = run.artifacts["corpus"].manifest.counts
    told = ("rows_in", "rows_out", "quarantined", "events_in", "events_out", "events_quarantined", "outcomes")
    answer: dict[str, Any] = {name: counts[name] for name in told if name in counts}
    if "report" in run.artifacts:
        answer |= {"metrics": headline_metrics(run.artifacts["report"].manifest.info["metrics"])}
        answer |= {"report": run.artifacts["report"].uri("report.html")}
    return answer | {"published": run.published, "artifacts": describe(run)}


if __name__ == "__main__":
    arguments = parser("Raw reviews to a published model, every stage in order.")
    arguments.add_argument("--until", choices=STAGES, default=STAGES[-1], help="the last stage to run")
    raise SystemExit(main(pipeline, arguments))
