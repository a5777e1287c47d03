"""Which variant a run publishes."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llmrec import pipeline
from llmrec.config import RunConfig
from llmrec.models.validation import WHOLE, whole_metrics
from llmrec.pipeline import Run
from llmrec.storage import Storage


def artifact(name: str, **info: Any) -> Any:
    return SimpleNamespace(id=name, manifest=SimpleNamespace(info=info))


@pytest.mark.parametrize(
    ("verdict", "with_text", "published"),
    [("worse", 0.3, "no_text"), ("better", 0.3, "text"), ("cannot tell", 0.1, "no_text"), (None, 0.3, "text")],
)
def test_a_variant_judged_worse_is_not_published(
    verdict: str | None, with_text: float, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.registry, "publish", lambda storage, bundle, name, trusted: {"id": bundle.id})
    found = {"text": with_text, "no_text": 0.2}
    run = Run(RunConfig(), Storage("unused"))
    run.artifacts = {f"bundle.{v}": artifact(v) for v in found} | {"report": artifact("report", verdict=verdict)}
    run.artifacts |= {f"models.{v}": artifact(v, validation={WHOLE: {"ndcg@10": x}}) for v, x in found.items()}
    run.run("publish")
    assert (run.published["id"], run.published["variant"]) == (published, published)
    assert ("worse" if verdict == "worse" else "validation prefers") in run.published["because"]


def test_the_whole_counts_targets_that_were_not_found() -> None:
    assert whole_metrics(np.array([1, 3, 11]), 4)["ndcg@10"] == pytest.approx((1 + 0.5) / 4)
    assert whole_metrics(np.empty(0, np.int64), 0) == {"ndcg@10": 0.0}
