"""Ranking metrics against RecTools, run by `.venv-rivals` because its pins clash with ours."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import metrics as bench

pytestmark = pytest.mark.skipif(
    not bench.RIVAL_PYTHON.exists(), reason="no .venv-rivals: `make rivals` installs RecTools there"
)


def test_agrees_with_rectools_to_1e9(tmp_path: Path) -> None:
    data = bench.make_factors(300, 400, seed=3)
    np.savez(tmp_path / "factors.npz", allow_pickle=False, **data)
    rival = bench.start_rival()
    theirs = rival.ask(factors=str(tmp_path / "factors.npz"))["metrics"]
    rival.close()
    found = bench.ours(data, 0)["metrics"]
    assert len(theirs) == 12 and min(theirs.values()) > 0
    assert {m: found[m] for m in theirs} == pytest.approx(theirs, abs=1e-9)
