"""Fit the two-tower model and the CTR ranker on Ray Train, with the text and without, and bundle them."""

from jobs.cli import stage_main

if __name__ == "__main__":
    raise SystemExit(
        stage_main(
            "train",
            "Fit the two-tower model and the CTR ranker on Ray Train, with the text and without, and bundle them.",
        )
    )
