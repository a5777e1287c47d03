"""What was learned is not forgotten: a checkerboard, half of whose events come after the bundle was made."""

from pathlib import Path

import numpy as np
import pytest
from factories.training import Folds, checkerboard, folds, tiny_config

from llmrec.features.dataset.rows import read_examples
from llmrec.models.files.store import make_model, save_model
from llmrec.models.networks.weights import from_arrays
from llmrec.models.retrieval import retrieve
from llmrec.models.validation import ValidationQueries
from llmrec.storage import Artifact
from llmrec.training.fit import Plan, load_context, run_plan
from llmrec.training.warm_start import WarmStart
from llmrec.workers.process_group import ProcessGroup

KEY, VARIANT, EPOCHS = "retriever.two_tower", "no_text", 2
TOWERS = {"dim": 16, "hidden": (), "epochs": 25, "patience": 25, "batch_size": 64, "sampled_negatives": 64,
          "learning_rate": 0.02, "id_dropout": 0.1, "weight_decay": 0.0}  # fmt: skip
CONFIG = tiny_config(retrievers={"two_tower": TOWERS}).training.retrievers[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("board"), checkerboard())


def fitted(examples: Artifact, warm: WarmStart) -> object:
    progress = run_plan(Plan({KEY: CONFIG}, None, examples, VARIANT, 1, warm), ProcessGroup(), {}, lambda _: None)
    model = make_model("retriever", CONFIG, load_context(examples, VARIANT))
    from_arrays(model.net, {name: w.numpy() for name, w in progress[f"{KEY}.test"].model.items()})
    return model


def right(model: object, examples: Artifact) -> float:
    """Share of the lists of those who ask last whose items have the user's colour."""
    context = load_context(examples, VARIANT)
    clicks = read_examples(examples, "test", context.selection, 5, clicks_only=True)
    queries, history = ValidationQueries.of(context.history, clicks), context.history
    rows, _ = retrieve(model, queries.requests(context), 3)  # type: ignore[arg-type]
    colour = np.array([-1, *(int(i[1:]) % 2 for i in history.item_ids[1:])])
    wanted = np.array([int(u[1:]) % 2 for u in (history.user_ids[r] for r in queries.users.rows)])
    return float((colour[rows] == wanted[:, None])[rows >= 0].mean())


@pytest.mark.slow
def test_models_that_go_on_stand_on_what_they_knew_and_learn_what_came(made: Folds, tmp_path: Path) -> None:
    def save(model: object, folder: Path, examples: Artifact) -> str:
        save_model(f"{folder}/models/{KEY}", model)  # type: ignore[arg-type]
        context = load_context(examples, VARIANT)
        context.spec.save(f"{folder}/spec")
        context.history.save(f"{folder}/history")
        return str(folder)

    blank = make_model("retriever", CONFIG, load_context(made.validation, VARIANT))
    nothing = save(blank, tmp_path / "blank", made.validation)
    early = fitted(made.validation, WarmStart(nothing, 25))
    bundle = save(early, tmp_path / "bundle", made.validation)
    warm, cold = fitted(made.test, WarmStart(bundle, EPOCHS)), fitted(made.test, WarmStart(nothing, EPOCHS))
    context = load_context(made.test, VARIANT)
    stale = make_model("retriever", CONFIG, context)
    WarmStart(bundle, 0).begin(KEY, stale.net, context)
    before, again, brief = (right(model, made.test) for model in (stale, warm, cold))
    assert again > before + 0.1  # .86 and .62: what came is learned
    assert again > brief + 0.1  # .66: and as much stands on what was known
