"""`jobs.leaks` on a corpus of one's own: silent where all is honest, and row, column and value where it is not."""

import argparse
import os
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from factories.features import World

from jobs import leaks
from llmrec.config import RunConfig, SplitConfig
from llmrec.features.asof.interactions import AsOf
from llmrec.features.build.stage import featurize
from llmrec.storage import Storage

ARGUMENTS = argparse.Namespace(moments=1)


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunConfig, Storage]:
    """A run that has been featurized."""
    world, storage = World.random(), Storage(str(tmp_path))
    corpus = {"source": "table", "reviews": ["r"], "items": ["i"], "item_vectors": {"image": "image"}}
    split = SplitConfig(validation_quantile=0.6, test_quantile=0.8)
    config = RunConfig(corpus=corpus, features=world.settings, split=split)
    with patch.object(os, "fsync"):
        stored = world.stored(storage, 2)
        made = {f"examples.{fold}": featurize(config, storage, *stored, fold) for fold in ("validation", "test")}
    found = SimpleNamespace(artifacts=made | dict(zip(("corpus", "embeddings"), stored, strict=True)))
    monkeypatch.setattr(leaks, "run_pipeline", lambda *_: found)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return config, storage


def test_honest_features_pass_and_leave_nothing(prepared: tuple[RunConfig, Storage]) -> None:
    assert leaks.leaks(*prepared, ARGUMENTS) == {"leaks": 0, "folds": ["validation", "test"], "moments": 1}
    assert not list(Path(prepared[1].root).glob("scratch*"))


def test_a_leak_is_told(prepared: tuple[RunConfig, Storage], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = AsOf.histories
    monkeypatch.setattr(AsOf, "histories", lambda self, users, times: honest(self, users, times + 1))
    with pytest.raises(
        leaks.LeaksFoundError, match=r"validation: user 'u\d+', item 'i\d+', time \d+: column 'request his"
    ):
        leaks.leaks(*prepared, ARGUMENTS)
    assert not list(Path(prepared[1].root).glob("scratch*"))


@pytest.mark.parametrize("moments", ["0", "-1", "1.5", "many"])
def test_moments_are_checked_before_any_work(moments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        leaks.arguments().parse_args(["--config", "c.yaml", "--moments", moments])
    assert left.value.code == 2
    assert f"--moments: found '{moments}', expected a whole number of at least 1" in capsys.readouterr().err
