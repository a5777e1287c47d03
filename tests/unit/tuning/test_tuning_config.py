"""What a configuration may say of tuning, and what the stages make of it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from llmrec import pipeline
from llmrec.config import RunConfig
from llmrec.pipeline import FinishedStorage, MissingStageError, Run
from llmrec.storage import Storage


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"objectives": {"contrastiv": 1}}, "no tuning objective 'contrastiv'; the nearest is 'contrastive'"),
        ({"pairs": {"next": 1}}, "no kind of pair 'next'; the nearest is 'next_item'"),
        ({"objectives": {"stars": 0}}, "weights above 0, found stars 0"),
        ({"pairs": {}}, "at least 1 item"),
        ({"threads_per_worker": 0}, "`auto` or at least 1"),
    ],
)
def test_names_and_weights_are_checked(tuning: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RunConfig.model_validate({"tuning": tuning})


@pytest.mark.parametrize("encoder", [{"backend": "tfidf_svd"}, {"pooling": "mean_max"}])
def test_there_must_be_an_encoder_to_tune(encoder: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"need encoding.encoder.backend `vllm` and a pooling of mean, "):
        RunConfig.model_validate({"encoding": {"encoder": encoder}, "tuning": {"objectives": {"stars": 1}}})
    RunConfig.model_validate({"encoding": {"encoder": encoder}})


def run_of(tuning: dict[str, Any]) -> Run:
    run = Run(RunConfig.model_validate({"tuning": tuning}), Storage("unused"))
    run.artifacts = {"corpus": SimpleNamespace(id="c")}  # type: ignore[dict-item]
    return run


def test_the_stage_is_left_out_without_objectives_and_names_the_encoder_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    made = SimpleNamespace(id="abc", uri=lambda name: f"/store/encoder/abc/{name}")
    monkeypatch.setattr(pipeline.corpus, "vouch", lambda *_: None)
    monkeypatch.setattr(pipeline.tuning, "tune", lambda *_: made)
    monkeypatch.setattr(pipeline.encoding, "encode", lambda config, *_: asked.append(config.encoding.encoder.model))
    for tuning in ({}, {"objectives": {"contrastive": 1}}):
        run = run_of(tuning)
        run.run("tune")
        run.run("encode")
    assert asked == ["default", "/store/encoder/abc/model"]


def test_refitted_the_folds_read_their_own_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold `validation` those of the encoder that learned before T1, `test` those of the one tuned anew."""
    one, two = (SimpleNamespace(id=name, uri=lambda f, n=name: f"/store/encoder/{n}/{f}") for name in ("one", "two"))
    asked: list[Any] = []

    def encode(config: RunConfig, *_: Any, earlier: Any = None) -> Any:
        asked.append((config.encoding.encoder.model, earlier and earlier.id))
        return SimpleNamespace(id=f"vectors of {config.encoding.encoder.model}")

    monkeypatch.setattr(pipeline.corpus, "vouch", lambda *_: None)
    monkeypatch.setattr(pipeline.tuning, "tune", lambda *_: one)
    monkeypatch.setattr(pipeline.tuning, "refitted", lambda *a: a[-1] if frozen else two)
    monkeypatch.setattr(pipeline.encoding, "encode", encode)
    for frozen in (False, True):
        run = run_of({"objectives": {"contrastive": 1}, "refit": True})
        run.run("tune")
        made = run.run("encode")
        assert made["embeddings"].id == f"vectors of /store/encoder/{'one' if frozen else 'two'}/model"
    first, second = "/store/encoder/one/model", "/store/encoder/two/model"
    assert asked == [(first, None), (second, f"vectors of {first}"), (first, None)]


@pytest.mark.parametrize("reading", [{"reader": "head"}, {"reader": "lexicon", "profiles": {"maker": "extractive"}}])
def test_what_one_encoder_reads_is_refused_beside_two(reading: dict[str, Any]) -> None:
    tuning = {"objectives": {"contrastive": 1}, "refit": True}
    with pytest.raises(ValidationError, match=r"read by one encoder, and tuning\.refit makes two"):
        RunConfig.model_validate({"reading": reading, "tuning": tuning})
    RunConfig.model_validate({"reading": reading, "tuning": tuning | {"refit": False}})


def test_a_later_job_says_that_tune_is_missing(tmp_path: Path) -> None:
    storage = FinishedStorage(str(tmp_path), wanted_by="encode")
    with (
        pytest.raises(MissingStageError, match=r"expected it from `python -m jobs.tune`"),
        storage.build("encoder", "x"),
    ):
        pass
