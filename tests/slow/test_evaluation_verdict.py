"""The verdict on built-in corpora whose truth is known: text that tells is found, noise is not."""

from pathlib import Path

import pytest

from llmrec.config import RunConfig
from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.records.results import Results
from llmrec.pipeline import run_pipeline
from llmrec.storage import Storage

pytestmark = pytest.mark.timeout(7200)
CORPORA = 20


def verdict(folder: Path, seed: int, *, noise: bool) -> Comparison:
    config = RunConfig.model_validate({
        "name": f"seed{seed}", "storage": str(folder), "seed": seed,
        "corpus": {"sample": {"n_users": 300, "n_items": 150, "n_reviews": 3000, "text_share": 1.0, "skew": 1.0,
                              "noise_text": noise, "seed": seed}},
        "encoding": {"encoder": {"backend": "hashing"}},
        "training": {"workers": 0},
        "evaluation": {"protocols": ["temporal"], "baselines": []},
    })  # fmt: skip
    run = run_pipeline(config, Storage(str(folder)), lambda *_: None, until="evaluate")
    headline = Results.model_validate(run.artifacts["report"].json("results.json")).headline
    assert headline is not None
    return headline.comparison


def test_text_that_alone_knows_the_taste_is_found(ray_cluster: None, tmp_path: Path) -> None:
    found = verdict(tmp_path, 7, noise=False)
    assert found.verdict == "better" and found.difference.low is not None and found.difference.low > 0


def test_noise_is_called_better_no_more_often_than_stated(ray_cluster: None, tmp_path: Path) -> None:
    """Two-sided 95 %: "better" by chance in 2.5 % of corpora; 3 or more of 20 would happen once in 77 times."""
    better = sum(verdict(tmp_path, seed, noise=True).verdict == "better" for seed in range(100, 100 + CORPORA))
    assert better <= 2
