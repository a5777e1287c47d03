"""A distilled ranker: it says what its teacher says, keeps what validation chose of both, and holds its trees alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from factories.features import World
from factories.training import folds, rows_of, tiny_config

from llmrec.config.models import model_config
from llmrec.models.files.store import load_model, make_model, save_model
from llmrec.training.fit import load_context
from llmrec.training.stage import modules_of

TEACHER = {"name": "ensemble", "members": [{"name": "lambdarank", "rounds": 20}, "logistic"], "seeds": 1}


def test_trees_say_what_the_ensemble_says_and_are_all_that_is_kept(tmp_path: Path) -> None:
    made = folds(tmp_path, World.random())
    context = load_context(made.validation, "text")
    rows, held = rows_of(made, context, "train"), rows_of(made, context, "validation")
    config = model_config("ranker", {"name": "distilled", "teacher": TEACHER, "rounds": 200})
    model = make_model("ranker", config, context)
    chosen = model.fit(rows, held, 5)
    assert json.loads(json.dumps(chosen)) == chosen
    teacher = make_model("ranker", config.teacher, context)
    teacher.fit(rows, held, 5)
    said, meant = model.logits(held), teacher.logits(held)
    assert chosen["fidelity"] == pytest.approx(1 - np.var(meant - said) / np.var(meant), abs=1e-6)
    assert chosen["fidelity"] > 0.5 and np.corrcoef(said, meant)[0, 1] > 0.7
    again = make_model("ranker", config.model_copy(update=chosen), context)
    assert again.fit(rows, None, 5) == {} and np.allclose(again.logits(held), said, atol=1e-5)
    save_model(str(tmp_path / "saved"), model)
    assert list(model.state()) == ["trees"]
    assert np.array_equal(load_model(str(tmp_path / "saved"), context).logits(held), said)


def test_the_code_of_the_teacher_and_of_what_it_is_made_of_is_part_of_the_stages_identity() -> None:
    found = modules_of(tiny_config(ranker={"name": "distilled", "teacher": TEACHER}))
    names = ("trees.distilled", "ensemble", "trees.lambdarank", "logistic")
    assert {f"llmrec.models.rankers.{name}" for name in names} <= set(found)


@pytest.mark.parametrize(
    ("teacher", "said"),
    [("distilled", "learns from clicks itself"), ("mmoe", "of the click alone")],
)
def test_what_cannot_teach_is_refused(teacher: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model_config("ranker", {"name": "distilled", "teacher": teacher})
