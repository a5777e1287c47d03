"""Rank every test query with every model, and write the report."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(stage_main("evaluate", "Rank every test query with every model, and write the report."))
