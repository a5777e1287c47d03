"""Let the registry's CURRENT name this run's bundle."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(stage_main("publish", "Let the registry's CURRENT name this run's bundle."))
