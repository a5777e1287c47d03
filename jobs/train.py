"""Fit the models that `training` names, with the text and without, and bundle them."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(
        stage_main("train", "Fit the models that `training` names, with the text and without, and bundle them.")
    )
