"""No retriever learns from behind its fold's cut-off: others take other things there, and the fit is the same."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories.features import World
from factories.training import folds

from llmrec.catalogue import MODELS
from llmrec.config.models import model_config
from llmrec.features.asof.interactions import AsOf
from llmrec.models.base import FitData, ModelContext, Retriever
from llmrec.models.files.store import fit_data, make_model
from llmrec.models.retrievers.ease import EASE
from llmrec.training import closed_form
from llmrec.training.fit import load_context

SMALL: dict[str, dict[str, Any]] = {
    "ials": {"factors": 8, "regularization": 0.1}, "bpr": {"iterations": 5},
    **{name: {"epochs": 2} for name in ("ncf", "text_factorization")},
}  # fmt: skip


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ModelContext:
    return load_context(folds(tmp_path_factory.mktemp("fold"), World.random()).validation, "text")


def event_models(context: ModelContext) -> list[str]:
    """Retrievers that are fitted on events; networks read training rows, which the canary holds."""
    made = {
        name: make_model("retriever", model_config("retriever", {"name": name}), context)
        for name in MODELS["retriever"]
    }
    return [name for name, model in made.items() if model.INFO.reads in ("events", "text")]


def fit(context: ModelContext, name: str, other_future: bool) -> dict[str, np.ndarray]:
    """The fitted arrays; `other_future`: the items and stars behind the cut-off are those of other events there."""
    model: Retriever = make_model(
        "retriever", model_config("retriever", {"name": name, **SMALL.get(name, {})}), context
    )
    data = fit_data(context, model, closed_form.training_events(context, model), 3)
    if other_future:
        data = with_other_future(data, context.spec.cutoff)
    model.fit(data)
    return dict(model.state())


def with_other_future(data: FitData, cutoff: int) -> FitData:
    events = data.data
    late = np.flatnonzero(events.time >= cutoff)
    assert len(late) > 10
    moved = {}
    for field, shift in (("item", 3), ("stars", 5)):  # by different steps: the same pairs in another order are the same
        values = getattr(events, field).copy()
        values[late] = np.roll(values[late], shift)
        moved[field] = values
    vectors = None if data.vectors is None else data.vectors.copy()
    if vectors is not None:
        vectors[late] = 1.0
    changed = replace(events, **moved)
    return replace(data, data=changed, as_of=AsOf(changed), vectors=vectors)


def differ(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return any(not np.array_equal(one[k], other[k]) for k in one)


def test_what_is_fitted_does_not_know_the_test(context: ModelContext) -> None:
    names = event_models(context)
    assert {"ease", "item_knn", "ials", "popularity"} <= set(names)
    assert [n for n in names if differ(fit(context, n, False), fit(context, n, True))] == []


def leak_rows_of_the_test(patch: pytest.MonkeyPatch) -> None:
    """The retriever is fitted on every event."""
    patch.setattr(closed_form, "training_events", lambda context, model: np.arange(len(context.interactions)))


def leak_events_beside_the_rows(patch: pytest.MonkeyPatch) -> None:
    """The rows are right, but a model looks at all events beside them: item weights of the whole corpus."""
    honest = EASE.weights
    patch.setattr(EASE, "weights", lambda self, data: honest(self, replace(data, train=np.arange(len(data.data)))))


@pytest.mark.parametrize("plant", [leak_rows_of_the_test, leak_events_beside_the_rows], ids=lambda p: p.__name__)
def test_a_planted_retriever_that_knows_the_test_is_caught(
    plant: Any, context: ModelContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert differ(fit(context, "ease", False), fit(context, "ease", True)), f"not noticed: {plant.__name__}"
