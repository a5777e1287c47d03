"""Make the point-in-time features and the labelled examples."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(stage_main("featurize", "Make the point-in-time features and the labelled examples."))
