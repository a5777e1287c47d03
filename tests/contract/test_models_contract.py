"""What every registered model promises: fit, save, load, identical answers; the unknown user; the empty history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.features import World
from factories.training import Folds, folds

from llmrec.catalogue import MODELS, Role
from llmrec.config.models import model_config
from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.models.base import ModelContext, Requests
from llmrec.models.files.store import fit_data, load_model, make_model, save_model
from llmrec.models.networks.epochs import fit_here
from llmrec.training.closed_form import fit_model, training_events
from llmrec.training.fit import load_context
from llmrec.workers.process_group import ProcessGroup

#: Small enough for a second each.
SMALL: dict[str, dict[str, Any]] = {
    "two_tower": {"dim": 8, "hidden": (8,), "epochs": 2, "batch_size": 32, "sampled_negatives": 16},
    **{name: {"dim": 8, "epochs": 2, "batch_size": 16, "sampled_negatives": 16} for name in ("sasrec", "hstu")},
    "ials": {"factors": 8, "regularization": 0.1}, "bpr": {"iterations": 5}, "lambdarank": {"rounds": 20},
    "ensemble": {"members": ({"name": "lambdarank", "rounds": 20}, "popularity"), "seeds": 2},
    "distilled": {"teacher": {"name": "lambdarank", "rounds": 20}, "rounds": 40},
    **{name: {"epochs": 2} for name in ("ncf", "text_factorization", "dcnv2", "deepfm", "fm", "autoint", "din",
                                                "encoder_decoder", "network", "shared_bottom", "mmoe", "ple",
                                                "esmm")},
}  # fmt: skip
EVERY = [(role, name) for role in MODELS for name in MODELS[role] if role not in ("blender", "calibrator")]
RETRIEVERS = [key for key in EVERY if key[0] == "retriever"]
#: What cannot be asked of a model, and why.
CONSTANT = {
    "popularity",
    "recent_popularity",
    "time_at_risk",
    "adaptive_popularity",
}  # of two users, both are told the same


@dataclass(frozen=True)
class Made:
    folds: Folds
    context: ModelContext


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    found = folds(tmp_path_factory.mktemp("contract"), World.random())
    return Made(found, load_context(found.validation, "text"))


def fitted(made: Made, role: Role, name: str, seed: int = 3) -> Any:
    """Fitted on the fold `validation`, as the stage `train` does."""
    torch.manual_seed(seed)
    model = make_model(role, model_config(role, {"name": name, **SMALL.get(name, {})}), made.context)
    task = model.fit_task(made.folds.validation, ProcessGroup(), False)
    if task is not None:
        fit_here(task, model.config, seed, False)
    else:
        fit_model(model, made.folds.validation, seed, validate=role == "ranker")
    return model


def validation_rows(made: Made) -> Examples:
    c = made.context
    return read_examples(made.folds.validation, "validation", c.selection, c.history_length)


def asked(made: Made, users: list[int]) -> Requests:
    times = np.full(len(users), int(made.context.interactions.time[-1]) + 1)
    rows = np.array(users)
    return Requests(rows, times, made.context.as_of, made.context.history.users_at(rows, times))


def answer(model: Any, made: Made) -> np.ndarray:
    if model.ROLE == "retriever":
        return np.asarray(model.scores(asked(made, [1, 2, 5, 0])))
    if model.ROLE == "ranker":
        return np.asarray(model.logits(validation_rows(made)))
    data = made.context.interactions
    late = np.flatnonzero(data.time >= made.context.spec.cutoff)[:40]
    return np.asarray(model.predict(data.user[late], data.item[late], data.time[late]))


@pytest.fixture(scope="module")
def fits(made: Made) -> Callable[[tuple[Role, str]], Any]:
    """Each model, fitted once."""
    return cache(lambda key: fitted(made, *key))


def named(keys: Sequence[tuple[str, str]]) -> Any:
    return pytest.mark.parametrize("model", keys, indirect=True, ids=[f"{role}-{name}" for role, name in keys])


@pytest.fixture
def model(request: pytest.FixtureRequest, fits: Callable[[tuple[Role, str]], Any]) -> Any:
    return fits(request.param)


@named(EVERY)
def test_it_says_what_it_is(model: Any) -> None:
    assert model.INFO.title and model.INFO.description and model.config.name in MODELS[model.ROLE]
    assert model.Config.model_validate(model.config.model_dump()) == model.config


@named(EVERY)
def test_saved_and_loaded_it_answers_the_same(model: Any, made: Made, tmp_path: Path) -> None:
    save_model(str(tmp_path), model)
    found = load_model(str(tmp_path), made.context)
    assert type(found) is type(model) and found.config == model.config
    assert np.array_equal(answer(found, made), answer(model, made))


@named(EVERY)
def test_answers_are_finite_and_differ(model: Any, made: Made) -> None:
    """For users known, new and without any past; of items known and new."""
    found = answer(model, made)
    assert np.isfinite(found).all()
    if model.ROLE == "retriever" and model.config.name not in CONSTANT:
        assert not np.allclose(found[0], found[1])
    assert len(np.unique(found.round(6))) > 2


@named(EVERY)
def test_a_seed_decides_the_fit(model: Any, made: Made) -> None:
    again = fitted(made, model.ROLE, model.config.name)
    first, second = model.state(), again.state()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@named(EVERY)
def test_a_row_is_answered_alike_alone_and_in_a_batch(model: Any, made: Made) -> None:
    found = answer(model, made)
    if model.ROLE == "retriever":
        alone = np.concatenate([model.scores(asked(made, [user])) for user in (1, 2, 5, 0)])
    elif model.ROLE == "ranker":
        rows = validation_rows(made)
        alone = np.concatenate([model.logits(rows.take(slice(k, k + 1))) for k in range(10)])
    else:
        data = made.context.interactions
        late = np.flatnonzero(data.time >= made.context.spec.cutoff)[:10]
        alone = np.concatenate([model.predict(data.user[[e]], data.item[[e]], data.time[[e]]) for e in late])
    assert np.allclose(alone, found[: len(alone)], atol=1e-4)


@named([key for key in EVERY if key[0] == "ranker"])
def test_attributions_add_up_to_the_logits_but_for_one_number(model: Any, made: Made) -> None:
    rows = validation_rows(made).take(slice(0, 60))
    logits = np.asarray(model.logits(rows), np.float64)
    parts = model.attributions(rows)
    assert all(part.shape == (60,) and np.isfinite(part).all() for part in parts.values())
    rest = logits - sum(parts.values())
    tolerance = 0.02 if hasattr(model, "net") else 1e-4  # of a network the path's integral is a quadrature
    assert np.ptp(rest) <= tolerance * max(np.ptp(logits), 1e-3)


@named(RETRIEVERS)
def test_scores_of_rows_are_those_of_the_whole_catalogue(model: Any, made: Made) -> None:
    rows = np.array([[1, 4, 2], [7, 3, 1]])
    requests = asked(made, [1, 2])
    expected = np.take_along_axis(model.scores(requests), rows, axis=1)
    assert np.allclose(model.scores_of(requests, rows), expected, atol=1e-5)
    assert model.answers(requests).all()


@named(RETRIEVERS)
def test_a_later_event_changes_nothing_that_was_answered_before(model: Any, made: Made) -> None:
    """State is as of the request: what is known now but happened later is not read."""
    data = made.context.interactions
    time = int(made.context.spec.cutoff)
    before = np.flatnonzero(data.time < time)
    early = type(made.context.as_of)(data, before)
    users, times = np.array([1, 2]), np.full(2, time)
    states = made.context.history.users_at(users, times)
    now = model.scores(Requests(users, times, made.context.as_of, states))
    then = model.scores(Requests(users, times, early, states))
    assert np.array_equal(now, then)


@named([key for key in EVERY if key[0] != "ranker"])
def test_what_a_model_may_learn_from_ends_at_the_cut_off(model: Any, made: Made) -> None:
    rows = training_events(made.context, model)
    data = fit_data(made.context, model, rows)
    assert (data.data.time[data.train] < made.context.spec.cutoff).all() and len(rows)
    assert (data.vectors is not None) == (model.INFO.reads == "text")
