"""Finished evaluations side by side, in pairs; refuses what cannot be compared, saying why."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from llmrec.config import RunConfig
from llmrec.evaluation.compare.side_by_side import SideBySide, compare_runs
from llmrec.evaluation.compare.stored_run import load_run
from llmrec.evaluation.report.format import interval, number
from llmrec.evaluation.report.glossary import metric_title
from llmrec.evaluation.report.verdict import effect
from llmrec.storage import Storage


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description="Finished evaluations side by side, with paired intervals.")
    arguments.add_argument("runs", nargs="+", metavar="RUN", help="id of a report artifact, or its folder or URI")
    arguments.add_argument(
        "--storage", default=RunConfig.model_fields["storage"].default, help="where ids are looked up (%(default)s)"
    )
    arguments.add_argument(
        "--metric", action="append", default=[], help="such as recall@50; may be repeated (default: the primary one)"
    )
    arguments.add_argument("--protocol", help="such as leave_last_out (default: the first run's first)")
    arguments.add_argument("--model", action="append", default=[], help="may be repeated (default: all shared ones)")
    return arguments


def table(found: SideBySide) -> Table:
    """One row a model and metric: each run's figure, and its paired difference from the first."""
    first, *others = (run.title for run in found.runs)
    shown = Table(title=f"{found.runs[0].protocol.name}, {found.n_queries:,} queries; each run against {first}")
    for title in ("Model", "Metric", first):
        shown.add_column(title, overflow="fold")
    for title in others:
        shown.add_column(title, overflow="fold")
        shown.add_column("in pairs", overflow="fold")
    paired = {(c.model, c.metric): c for c in found.comparisons}
    for model, metrics in found.estimates[first].items():
        for metric in metrics:
            cells = [_figure(found, first, model, metric)]
            for title in others:
                comparison = paired[f"{title}:{model}", metric]
                said = f"{comparison.verdict}: {effect(comparison)}" if comparison.difference.value else "the same"
                cells += [_figure(found, title, model, metric), said]
            shown.add_row(model, metric_title(metric), *cells)
    return shown


def _figure(found: SideBySide, run: str, model: str, metric: str) -> str:
    estimate = found.estimates[run][model][metric]
    return f"{number(estimate.value)} {interval(estimate)}".strip()


def answer(found: SideBySide) -> dict[str, Any]:
    """The JSON line."""
    return {
        "runs": [{"run": r.title, "uri": r.root} for r in found.runs],
        "protocol": found.runs[0].protocol.name,
        "queries": found.n_queries,
        "estimates": {
            run: {m: {k: e.model_dump(exclude_none=True) for k, e in metrics.items()} for m, metrics in models.items()}
            for run, models in found.estimates.items()
        },
        "comparisons": [c.model_dump(exclude_none=True) for c in found.comparisons],
        "notes": found.notes,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """0: compared, 2: refused or unusable input."""
    args = parser().parse_args(argv)
    started = time.perf_counter()
    line: dict[str, Any] = {"ok": False}
    try:
        storage = Storage(args.storage)
        found = compare_runs([load_run(run, storage, args.protocol) for run in args.runs], args.metric, args.model)
        Console(width=None if sys.stdout.isatty() else 60 + 60 * len(args.runs)).print(table(found))
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)
        line |= answer(found) | {"ok": True}
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        line["error"] = str(error)
    line["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(line, separators=(",", ":"), ensure_ascii=False), flush=True)
    return 0 if line["ok"] else 2


if __name__ == "__main__":
    raise SystemExit(main())
