"""Networks that go on: whom they knew keep their weights under another index, who is new begins as the unknown one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.features import World
from factories.training import folds, tiny_config

from llmrec.features.asof.ids import Ids
from llmrec.models.base import ModelContext
from llmrec.models.files.store import make_model, save_model
from llmrec.models.files.weights_file import WeightsError
from llmrec.models.networks.layers import IdEmbedding
from llmrec.models.networks.weights import to_arrays
from llmrec.storage import Storage
from llmrec.training.fit import Plan, load_context, models_of, role_of, run_plan
from llmrec.training.warm_start import WarmStart, carried_rows, id_tables
from llmrec.workers.process_group import ProcessGroup

KEY = "retriever.two_tower"


def test_indices_are_carried_by_id() -> None:
    old = Ids(["", "b", "d", "e"]), np.array([1, 3])  # b and e: indices 1 and 2
    new = Ids(["", "a", "b", "c", "d", "e"]), np.array([1, 2, 4, 5])  # a, b, d, e
    assert carried_rows(old, new).tolist() == [0, 0, 1, 0, 2]
    assert carried_rows(old, (Ids([""]), np.zeros(0, np.int64))).tolist() == [0]


class Net(torch.nn.Module):
    def __init__(self, n_users: int, n_items: int) -> None:
        super().__init__()
        self.users, self.items, self.other = IdEmbedding(n_users, 2), IdEmbedding(n_items, 2), torch.nn.Embedding(4, 2)


@pytest.mark.parametrize(("n_users", "n_items"), [(3, 4), (4, 3), (4, 4)])
def test_tables_of_ids_are_told_apart(n_users: int, n_items: int) -> None:
    expected = {"users.table.weight": "user", "items.table.weight": "item"}
    assert id_tables(Net(n_users, n_items), n_users, n_items) == expected


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A folder with models, spec and history as a bundle lays them out; and a network's weights."""
    root = tmp_path_factory.mktemp("warm")
    made = folds(root, World.random(n_users=70, n_items=30, n_reviews=160))
    context = load_context(made.validation, "text")  # its vocabularies are those of before T1: fewer ids
    torch.manual_seed(0)
    model = make_model("retriever", models_of(tiny_config().training)[KEY], context)
    save_model(f"{root}/bundle/models/{KEY}", model)
    context.spec.save(f"{root}/bundle/spec")
    context.history.save(f"{root}/bundle/history")
    return root, to_arrays(model.net)


def test_what_was_learned_of_ids_is_kept_and_new_ones_are_the_unknown_one(
    bundle: tuple[Path, dict[str, np.ndarray]],
) -> None:
    root, before = bundle
    old = load_context_of(root, "validation")
    new = load_context_of(root, "test")
    net = make_model("retriever", models_of(tiny_config().training)[KEY], new).net
    WarmStart(f"{root}/bundle", 1).begin(KEY, net, new)
    after = to_arrays(net)
    known = [*new.spec.user_vocabulary]
    index = {int(row): n + 1 for n, row in enumerate(old.spec.user_vocabulary)}
    assert 0 < len(index) < len(known)  # both worlds have the same rows of the history
    for place, row in enumerate(known):
        np.testing.assert_array_equal(
            after["users.table.weight"][place + 1], before["users.table.weight"][index.get(int(row), 0)]
        )
    rest = before.keys() - {"users.table.weight", "items.table.weight"}
    assert rest and all(np.array_equal(before[name], after[name]) for name in rest)
    net.users.table = torch.nn.Embedding(net.users.table.num_embeddings, 5)
    with pytest.raises(WeightsError, match="shape"):
        WarmStart(f"{root}/bundle", 1).begin(KEY, net, new)


def load_context_of(root: Path, fold: str) -> ModelContext:
    found = Storage(str(root)).find("examples", fold)
    assert found is not None
    return load_context(found, "text")


def test_a_warm_plan_fits_the_last_fold_alone_from_the_weights_that_were_there(
    bundle: tuple[Path, dict[str, np.ndarray]],
) -> None:
    root, _ = bundle
    examples = Storage(str(root)).find("examples", "test")
    assert examples is not None
    networks = {KEY: models_of(tiny_config().training)[KEY]}

    def losses(warm: WarmStart | None) -> list[float]:
        plan = Plan(networks, None if warm else examples, examples, "text", 7, warm)
        progress = run_plan(plan, ProcessGroup(), {}, lambda _: None)
        return [point["loss"] for point in progress[f"{KEY}.test"].curve]

    assert role_of(KEY) == "retriever"
    once = losses(WarmStart(f"{root}/bundle", 2))
    assert len(once) == 2
    assert once == losses(WarmStart(f"{root}/bundle", 2))  # and the same again
