"""An encoder's folder says until when its texts reach; what cannot be read is refused, never taken for silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmrec.config import EncoderConfig, RunConfig
from llmrec.encoding.encoders.tuned import CUTOFF_FILE, tuned_before
from llmrec.encoding.stage import decisive


@pytest.mark.parametrize(
    ("moment", "expected"),
    [("1970-01-02", 86_400_000), ("1970-01-02T00:00:00", 86_400_000), ("1970-01-02T01:00:00+01:00", 86_400_000)],
)
def test_the_moment_is_milliseconds_utc(tmp_path: Path, moment: str, expected: int) -> None:
    (tmp_path / CUTOFF_FILE).write_text(json.dumps({"texts_before": moment}))
    assert tuned_before(EncoderConfig(model=str(tmp_path))) == expected


@pytest.mark.parametrize("content", [{}, {"texts_before": None}, {"texts_before": "soon"}, {"texts_before": 12}, []])
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / CUTOFF_FILE).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"{CUTOFF_FILE}: cannot be read.*expected"):
        tuned_before(EncoderConfig(model=str(tmp_path)))


def test_a_folder_that_says_nothing_and_a_backend_without_one(tmp_path: Path) -> None:
    assert tuned_before(EncoderConfig(model=str(tmp_path))) is None
    assert tuned_before(EncoderConfig(backend="hashing")) is None


def test_it_decides_the_identity_of_the_vectors_artifact_as_do_the_weights(tmp_path: Path) -> None:
    config = RunConfig.model_validate({"encoding": {"encoder": {"model": str(tmp_path)}}})
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    silent = decisive(config)
    (tmp_path / CUTOFF_FILE).write_text(json.dumps({"texts_before": "1970-01-02"}))
    told = decisive(config)
    assert "tuned_before" not in silent and told["tuned_before"] == 86_400_000
    (tmp_path / "model.safetensors").write_bytes(b"others!")
    assert len({json.dumps(found, sort_keys=True) for found in (silent, told, decisive(config))}) == 3
