"""Encode the texts of reviews and items with vLLM actors on Ray Data."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(stage_main("encode", "Encode the texts of reviews and items with vLLM actors on Ray Data."))
