"""What the report says of the corpus, against sums made by hand."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmrec.config import RunConfig
from llmrec.evaluation.data.corpus_facts import _covered, command, portrait, seconds_per_1000, stage_seconds, tied_users
from llmrec.features.asof.interactions import Interactions
from llmrec.storage import Artifact, Manifest, Storage

EVENTS = [("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 2), ("bob", "a", 1), ("bob", "b", 1), ("bob", "c", 3),
          ("cy", "a", 9)]  # fmt: skip


def interactions(events: list[tuple[str, str, int]]) -> Interactions:
    users, items, times = zip(*events, strict=True)
    return Interactions.from_arrays(users, items, np.array(times), available_from={"unseen": 0})


def corpus(**info: Any) -> Artifact:
    return Artifact("nowhere", Manifest.model_construct(info=info))


def test_a_user_ties_where_the_last_event_is_not_alone() -> None:
    assert tied_users(interactions(EVENTS)) == 1  # ann; bob's tie is not his last, and cy has one event


def test_the_portrait_counts_who_and_what_has_events() -> None:
    found = portrait(RunConfig(name="shop"), interactions(EVENTS), corpus(whole_day_share=0.9, duplicates=2), None)
    assert (found.n_reviews, found.n_users, found.n_items) == (7, 3, 3)  # an item without events is none of them
    assert (found.first, found.last, found.duplicates) == (1, 9, 2)
    assert (found.median_per_user, found.median_per_item) == (3, 2)
    assert found.sparsity == pytest.approx(1 - 7 / 9)
    assert "events of one day have no order" in found.notes[0]


def test_whole_days_are_noted_where_most_are() -> None:
    assert portrait(RunConfig(), interactions(EVENTS), corpus(whole_day_share=0.5), None).notes == []


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"encoded": 500, "encode_seconds": 2.0, "seconds": 9.0}, 4.0),
        ({"encoded": 0, "encode_seconds": 0.1}, None),  # all came from the store
        ({}, None),
    ],
)
def test_encoding_is_told_by_what_was_encoded(info: dict[str, Any], expected: float | None) -> None:
    assert seconds_per_1000(info) == expected


def test_the_command_is_the_one_that_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["/env/bin/python3", "-m", "jobs.pipeline", "--config", "my runs/a.yaml", "seed=8"]
    monkeypatch.setattr(sys, "orig_argv", given)
    assert command() == "python -m jobs.pipeline --config 'my runs/a.yaml' seed=8"
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "pytest", "tests"])
    assert command() == ""


def test_times_are_those_of_every_stage(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    def make(stage: str, name: str, **parents: str) -> Artifact:
        with storage.build(stage, name, module="llmrec.storage", config={}, parents=parents):
            pass
        found = storage.find(stage, name)
        assert found is not None
        return found

    corpus = make("corpus", "c")
    make("embeddings", "e", corpus="c")
    for fold in ("v", "t"):
        make("examples", fold, corpus="c", embeddings="e")
    for variant in ("text", "plain"):
        make("models", f"m{variant}", validation="v", test="t")
    bundles = [make("bundle", f"b{v}", examples="t", models=f"m{v}") for v in ("text", "plain")]
    found = stage_seconds(storage, [corpus, *bundles])
    assert list(found) == ["corpus", "embeddings", "examples", "models", "bundle"]
    one, both = (storage.find("examples", name) for name in ("v", "t"))
    assert one is not None and both is not None
    assert found["examples"] == pytest.approx(one.manifest.seconds + both.manifest.seconds, abs=1e-3)


def test_what_is_made_at_the_same_time_counts_once() -> None:
    assert _covered([]) == 0
    assert _covered([(0, 10), (20, 25)]) == 15
    assert _covered([(5, 12), (0, 10), (6, 7)]) == 12
