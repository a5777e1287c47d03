"""Losses of the small run, epoch by epoch, as they were when the file was written: a refactor must reproduce them.

Where a change is meant to alter them, write what it gives into the file and say why in the commit.
"""

import json
from pathlib import Path

import pytest

from llmrec.pipeline import Run

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "losses.json").read_text())


@pytest.mark.parametrize("variant", GOLDEN)
def test_losses_are_what_they_were(small_run: Run, variant: str) -> None:
    curves = small_run.artifacts[f"models.{variant}"].json("curves.json")
    assert curves.keys() == GOLDEN[variant].keys()
    for model, folds in GOLDEN[variant].items():
        for fold, losses in folds.items():
            assert [e["loss"] for e in curves[model][fold]] == pytest.approx(losses, rel=1e-4), (model, fold)
