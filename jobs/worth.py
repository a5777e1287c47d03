"""What words were worth, run by run: reads finished reports, and writes the table of docs/what_words_are_worth.md.

    python -m jobs.worth artifacts/report/0123456789abcdef

Rows are kept in benchmarks/worth.jsonl, so that the table can be made again without the runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmrec.config import RunConfig
from llmrec.evaluation.compare.stored_run import load_run
from llmrec.evaluation.compare.worth import joined, parse_rows, worth_of, written
from llmrec.evaluation.report.worth_table import markdown, with_table
from llmrec.storage import Storage

ROWS, PAGE = Path("benchmarks/worth.jsonl"), Path("docs/what_words_are_worth.md")


def parser() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description="What words were worth, run by run, as a table in Markdown.")
    arguments.add_argument("runs", nargs="*", metavar="RUN", help="id of a report artifact, or its folder or URI; "
                           "without one the table is made again from the rows that are kept")  # fmt: skip
    arguments.add_argument(
        "--storage", default=RunConfig.model_fields["storage"].default, help="where ids are looked up (%(default)s)"
    )
    arguments.add_argument("--rows", type=Path, default=ROWS, help="where rows are kept (%(default)s)")
    arguments.add_argument("--page", type=Path, default=PAGE, help="the page that holds the table (%(default)s)")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """0: written, 2: unusable input."""
    args = parser().parse_args(argv)
    line: dict[str, Any] = {"ok": False}
    try:
        storage = Storage(args.storage)
        found = [load_run(run, storage) for run in args.runs]
        new = [worth_of(run.results, run.artifact.id if run.artifact else run.results.run.id) for run in found]
        kept = parse_rows(args.rows.read_text(encoding="utf-8")) if args.rows.exists() else []
        rows = joined(kept, new)
        page = with_table(args.page.read_text(encoding="utf-8"), markdown(rows))
        args.rows.write_text(written(rows), encoding="utf-8")
        args.page.write_text(page, encoding="utf-8")
        line = {"ok": True, "rows": len(rows), "new": [row.run for row in new], "page": str(args.page)}
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        line["error"] = str(error)
    print(json.dumps(line, separators=(",", ":"), ensure_ascii=False), flush=True)
    return 0 if line["ok"] else 2


if __name__ == "__main__":
    raise SystemExit(main())
