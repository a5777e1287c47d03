"""Reading examples, fitting small worlds, resuming, sharing work: all in this process."""

import os
import threading
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from factories.features import World
from factories.training import Folds, checkerboard, folds, tiny_config

from llmrec.features.dataset import rows as rows_module
from llmrec.features.dataset.rows import Examples, Shard, load_features, read_examples
from llmrec.models.files.store import load_model, make_model
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.two_tower.epochs import TowerData, tower_loss
from llmrec.models.validation import ValidationQueries, click_metrics, ranking_metrics
from llmrec.schema import Column as C
from llmrec.training import stage, train
from llmrec.training.fit import Plan, Progress, dump, load_context, parse, run_plan, run_plans
from llmrec.training.stage import make_plan
from llmrec.workers.process_group import ProcessGroup

#: Losses of the first and the last epoch, as the code of commit ee8d5c6 has them too.
GOLDEN = {
    "retriever.two_tower.validation": [3.431188, 3.265834], "retriever.two_tower.test": [3.450975, 3.265951],
    "ranker.validation": [0.628698, 0.428892], "ranker.test": [0.605204, 0.605204],
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("training"), World.random())


def plan_of(made: Folds, variant: str = "text") -> Plan:
    return make_plan(tiny_config(), made.validation, made.test, variant)


def read(made: Folds, shard: Shard = Shard(), variant: str = "text") -> Examples:  # noqa: B008
    spec, _ = load_features(made.validation)
    return read_examples(made.validation, "train", spec.columns_of(variant), 5, shard=shard)


def test_examples_are_read_as_they_were_written(made: Folds) -> None:
    rows, spec = read(made), load_features(made.validation)[0]
    whole = made.validation.dataset("examples").to_table(filter=pc.field(C.SPLIT) == "train")
    table = whole.filter(pc.field(C.CANDIDATE))  # first events of an item, which nobody could recommend, are left out
    assert 0 < len(rows) == table.num_rows < whole.num_rows
    assert (np.diff(rows.times) >= 0).all()
    order = np.argsort(table[C.TIMESTAMP].to_numpy(), kind="stable")
    assert rows.item_ids.tolist() == [table[C.ITEM_ID][int(k)].as_py() for k in order]
    for name, column in (("user", C.USER_FEATURES), ("item", C.ITEM_FEATURES), ("pair", C.PAIR_FEATURES)):
        assert np.array_equal(getattr(rows, name), np.stack(table[column].to_numpy())[order])
    histories = [table[C.HISTORY][int(k)].as_py() for k in order]
    assert [[i for i in h if i] for h in rows.history.tolist()] == [[i for i in h if i] for h in histories]
    assert rows.history.shape[1] == rows.ages.shape[1] == 5
    ages = np.stack(table[C.HISTORY_AGES].to_numpy())[order]
    assert np.array_equal(rows.ages, ages) and 0 < np.count_nonzero(ages) < ages.size
    assert len(spec.user_columns) == rows.user.shape[1]


def test_the_arm_without_text_reads_other_columns_of_the_same_rows(made: Folds) -> None:
    text, without = read(made), read(made, variant="no_text")
    assert text.item_ids.tolist() == without.item_ids.tolist()
    chosen = load_features(made.validation)[0].columns_of("no_text")
    assert np.array_equal(without.item, text.item[:, chosen.item])
    assert 0 < without.user.shape[1] < text.user.shape[1]


def test_likes_are_all_reviews_with_stars_and_nothing_else(made: Folds) -> None:
    selection = load_features(made.test)[0].columns_of("text")
    rows = read_examples(made.test, "train", selection, 5, label="like")
    condition = (pc.field(C.SPLIT) == "train") & pc.field(C.STARS).is_valid()
    table = made.test.dataset("examples").to_table(filter=condition)
    columns = table[C.USER_ID].to_pylist(), table[C.TIMESTAMP].to_pylist(), (table[C.STARS].to_numpy() >= 4).tolist()
    found = rows.user_ids.tolist(), rows.times.tolist(), (rows.click == 1).tolist()
    assert sorted(zip(*found, strict=True)) == sorted(zip(*columns, strict=True))
    assert 0 < rows.click.mean() < 1 and not pc.all(table[C.CANDIDATE]).as_py()  # an item's first review counts too


@pytest.mark.parametrize("world", [2, 3, 7])
def test_shards_hold_every_row_exactly_once(made: Folds, world: int) -> None:
    whole = read(made)
    parts = [read(made, Shard(rank, world)) for rank in range(world)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    keys = [list(zip(p.times.tolist(), p.user_ids, p.item_ids, strict=True)) for p in (whole, *parts)]
    assert sorted(chain(*keys[1:])) == sorted(keys[0])


def test_rows_beyond_memory_lie_in_files_that_nobody_has_to_delete(
    made: Folds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    held = [read(made, Shard(rank, 2)) for rank in range(2)]
    monkeypatch.setattr(rows_module, "IN_MEMORY", 0)
    for rank, expected in enumerate(held):
        rows = read(made, Shard(rank, 2))
        assert isinstance(rows.pair.base, np.memmap) and not isinstance(expected.pair.base, np.memmap)
        assert all(np.array_equal(values, getattr(expected, name)) for name, values in vars(rows).items())
        part = rows.take(np.array([5, 3]))
        assert np.array_equal(part.pair, expected.pair[[5, 3]]) and not isinstance(part.pair.base, np.memmap)
    assert not list((tmp_path / "cache").iterdir())


def test_a_full_disk_is_an_error_before_any_row_is_written(made: Folds, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rows_module, "IN_MEMORY", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        read(made)


def test_an_empty_split_is_an_error_that_says_what_to_do(made: Folds) -> None:
    spec, _ = load_features(made.test)
    with pytest.raises(ValueError, match="split 'validation' holds no rows, expected some; give the corpus more"):
        read_examples(made.test, "validation", spec.columns_of("text"), 5)


def test_batches_hold_every_row_once_an_epoch_and_are_neighbours_in_time(made: Folds) -> None:
    context = load_context(made.validation, "text")
    clicks = read_examples(made.validation, "train", context.selection, 5, clicks_only=True)
    data = TowerData(clicks, context)
    cuts = [data.batches(32, np.random.default_rng(s), len(clicks)) for s in range(5)]
    for batches in cuts:
        covered = np.concatenate([np.arange(b.start, b.stop) for b in batches])
        assert sorted(covered.tolist()) == list(range(len(clicks)))
    assert len({min(b.stop for b in batches) for batches in cuts}) > 1  # cut anew each epoch


def test_sampled_items_are_known_at_the_time_of_their_features(made: Folds) -> None:
    spec, history = load_features(made.validation)
    selection = spec.columns_of("text")
    clicks = read_examples(made.validation, "train", selection, 5, clicks_only=True)
    data, batch = TowerData(clicks, load_context(made.validation, "text")), slice(0, 10)
    sampled = data.sample(batch, 300, np.random.default_rng(0))
    assert len(sampled.rows)
    assert (history.known_since[sampled.rows] < clicks.times[9]).all()
    late = history.known_since >= clicks.times[9]
    late[0] = False
    assert late.any()
    assert not np.isin(sampled.rows, np.flatnonzero(late)).any()
    possible = [history.items_at(sampled.rows, np.full(len(sampled.rows), t)) for t in np.unique(clicks.times[batch])]
    features = np.stack([spec.item_features(s)[:, selection.item] for s in possible])
    assert (np.abs(features - sampled.features).max(axis=2).min(axis=0) < 1e-5).all()


def test_the_losses_fall_and_are_golden_numbers(made: Folds) -> None:
    """What a refactor must reproduce: the first and the last loss of each network on one small world."""
    progress = run_plan(plan_of(made), ProcessGroup(), {}, lambda p: None)
    found = {key: [state.curve[0]["loss"], state.curve[-1]["loss"]] for key, state in progress.items()}
    assert found.keys() == GOLDEN.keys()
    for key, golden in GOLDEN.items():
        assert found[key] == pytest.approx(golden, abs=1e-4), found


def test_the_towers_loss_is_a_softmax_over_the_batch_and_the_sampled_items(made: Folds) -> None:
    torch.manual_seed(0)
    context = load_context(made.validation, "text")
    clicks = read_examples(made.validation, "train", context.selection, 5, clicks_only=True)
    model = make_model("retriever", tiny_config().training.retrievers[0], context)
    data, batch = TowerData(clicks, context), slice(20, 52)
    loss = tower_loss(model.net.eval(), data, batch, model.config, np.random.default_rng(0))
    n_candidates = 32 + len(data.sample(batch, 64, np.random.default_rng(0)).rows)
    assert 0 < float(loss.detach()) / 32 < np.log(n_candidates) + 6


def weights_equal(a: Progress, b: Progress) -> bool:
    return all(torch.equal(a[k].model[n], b[k].model[n]) for k in a for n in a[k].model)


def test_a_seed_decides_everything(made: Folds) -> None:
    plan = plan_of(made)
    first, second = (run_plan(plan, ProcessGroup(), {}, lambda p: None) for _ in range(2))
    assert weights_equal(first, second)
    third = run_plan(replace(plan, seed=plan.seed + 1), ProcessGroup(), {}, lambda p: None)
    assert not weights_equal(first, third)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6, 0.9])
def test_resumed_after_any_epoch_it_ends_where_it_would_have_ended(made: Folds, share: float) -> None:
    plans, saved = {"text": plan_of(made), "no_text": plan_of(made, "no_text")}, [b""]
    whole = run_plans(plans, ProcessGroup(), {}, lambda p: None)
    epochs_before = max(1, int(share * sum(s.epoch for states in whole.values() for s in states.values())))

    def die(progress: dict[str, Progress]) -> None:
        saved.append(dump(progress))
        if len(saved) == 1 + epochs_before:
            raise KilledError

    with pytest.raises(KilledError):
        run_plans(plans, ProcessGroup(), {}, die)
    resumed = run_plans(plans, ProcessGroup(), parse(saved[-1]), lambda p: None)
    for variant, states in whole.items():
        assert weights_equal(states, resumed[variant])
        assert {k: s.curve for k, s in states.items()} == {k: s.curve for k, s in resumed[variant].items()}


def test_the_refit_takes_the_epochs_that_validation_chose(made: Folds) -> None:
    progress = run_plan(plan_of(made), ProcessGroup(), {}, lambda p: None)
    for model, metric, best in (("retriever.two_tower", "ndcg@50", max), ("ranker", "log_loss", min)):
        tried, refit = progress[f"{model}.validation"], progress[f"{model}.test"]
        values = [e[metric] for e in tried.curve]
        assert tried.best_epoch == values.index(best(values)) + 1
        assert len(refit.curve) == tried.best_epoch
        assert all(metric not in e for e in refit.curve)  # the test fold is not looked at


def test_gradients_are_of_the_mean_over_all_rows_however_they_are_dealt() -> None:
    """Two workers with 3 rows and 1: the mean over 4 rows, not the mean of means."""
    parameter = torch.nn.Parameter(torch.zeros(2))
    group, others = ProcessGroup(), torch.tensor([9.0, 1.0, 1.0])  # the other worker's summed gradient, and its one row

    class Two(ProcessGroup):
        def sum(self, value: torch.Tensor) -> torch.Tensor:
            return value.add_(others)

    parameter.grad = torch.tensor([3.0, 3.0])
    assert Two().average_gradients([parameter], 3) == 4
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [3.0, 1.0]
    parameter.grad = None
    assert group.average_gradients([parameter], 0) == 1  # nobody has rows: zeros, not NaN
    assert parameter.grad.tolist() == [0.0, 0.0]


def test_the_stage_writes_whole_artifacts_and_reuses_them(made: Folds) -> None:
    config = tiny_config()
    first = train(config, made.storage, made.validation, made.test, ["text"])["text"]
    assert {r.path.split("/", 1)[1] for r in first.manifest.files} == {
        *(f"{key}/{name}" for key in ("retriever.two_tower", "ranker", "blender", "calibrator")
          for name in ("model.json", "weights.safetensors")), "models.json", "curves.json",
    }  # fmt: skip
    assert not first.reused
    assert train(config, made.storage, made.validation, made.test, ["text"])["text"].reused
    assert train(config, made.storage, made.validation, made.test, ["no_text"])["no_text"].id != first.id
    curves = first.json("curves.json")
    chosen = first.json("models.json")["chosen"]
    for model in ("retriever.two_tower", "ranker"):
        assert len(curves[model]["test"]) == chosen[model]["epochs"]
        assert [e["epoch"] for e in curves[model]["validation"]] == list(range(1, len(curves[model]["validation"]) + 1))
    assert {"recall@10", "ndcg@10"} <= curves["retriever.two_tower"]["validation"][0].keys()
    assert {"auc", "log_loss"} <= curves["ranker"]["validation"][0].keys()


@pytest.mark.parametrize("room", [True, False])
def test_what_is_no_network_is_fitted_meanwhile_where_there_is_room(
    made: Folds, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    met, both = list[bool](), threading.Barrier(2)

    def meet(value: dict[str, Any]) -> dict[str, Any]:
        try:
            both.wait(10 if room else 0.05)
        except threading.BrokenBarrierError:
            both.reset()
        else:
            met.append(True)
        return value

    monkeypatch.setattr(stage, "_room_beside", lambda workers: room)
    monkeypatch.setattr(stage, "fit_networks", lambda *asked: meet({"text": "networks"}))
    monkeypatch.setattr(stage, "_fit_others", lambda *asked: meet({"text": "others"}))
    wrote = list[tuple[Any, ...]]()
    monkeypatch.setattr(stage, "_write", lambda *given: wrote.append(given))
    stage._fit(tiny_config(), made.storage, (made.validation, made.test), {"text": None}, "run")  # type: ignore[dict-item]
    assert len(met) == (2 if room else 0)
    assert [given[2:4] for given in wrote] == [("networks", "others")]


def test_validation_clicks_fit_the_calibrator_that_the_bundle_holds(made: Folds) -> None:
    config = tiny_config(
        retrievers=["time_at_risk"], ranker="logistic", calibrator={"name": "isotonic", "guard": False}
    )
    models = train(config, made.storage, made.validation, made.test, ["no_text"])["no_text"]
    said = models.manifest.info["validation"]["calibrator"]
    assert 0 < said["log_loss"] != said["log_loss_before"] > 0
    calibrator = load_model(models.uri("calibrator/model.json").rsplit("/", 1)[0], load_context(made.test, "no_text"))
    assert len(calibrator.state()["x"]) >= 2


def test_the_towers_find_the_planted_colours(tmp_path: Path) -> None:
    """Checkerboard: what remains to recommend to a user is of the user's colour; a guess is right half the time."""
    made = folds(tmp_path, checkerboard())
    towers = {"dim": 16, "hidden": (), "epochs": 25, "patience": 25, "batch_size": 64, "sampled_negatives": 64,
              "learning_rate": 0.02, "id_dropout": 0.1, "weight_decay": 0.0}  # fmt: skip
    config = tiny_config(retrievers={"two_tower": towers}).model_copy(update={"seed": 1})
    plan = make_plan(config, made.validation, made.test, "no_text")
    progress, context = run_plan(plan, ProcessGroup(), {}, lambda p: None), load_context(made.test, "no_text")
    model, history = make_model("retriever", config.training.retrievers[0], context), context.history
    model.net.load_state_dict(progress["retriever.two_tower.test"].model)
    clicks = read_examples(made.test, "test", context.selection, 5, clicks_only=True)
    queries = ValidationQueries.of(history, clicks)
    rows, _ = retrieve(model, queries.requests(context), 3)
    colour = np.array([-1, *(int(i[1:]) % 2 for i in history.item_ids[1:])])
    wanted = np.array([int(u[1:]) % 2 for u in (history.user_ids[r] for r in queries.users.rows)])
    listed = rows >= 0
    right = (colour[rows] == wanted[:, None])[listed].mean()
    assert right > 0.9


def test_metrics_by_hand() -> None:
    rows = np.array([[5, 6, 7], [1, 2, 3], [4, -1, -1]])
    metrics = ranking_metrics(np.pad(rows, ((0, 0), (0, 57)), constant_values=-1), np.array([6, 9, 4]))
    assert metrics["recall@10"] == pytest.approx(2 / 3)
    assert metrics["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1) / 3)
    found = click_metrics(np.array([1, 0, 0], np.float32), np.array([0.8, 0.6, 0.9], np.float32))
    assert found["auc"] == 0.5
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.4) + np.log(0.1)) / 3, abs=1e-4)
    assert "auc" not in click_metrics(np.ones(2, np.float32), np.full(2, 0.5, np.float32))


def test_queries_are_thinned_evenly_over_time(made: Folds) -> None:
    spec, history = load_features(made.validation)
    clicks = read_examples(made.validation, "validation", spec.columns_of("text"), 5, clicks_only=True)
    few = ValidationQueries.of(history, clicks, limit=5)
    assert len(few) == 5
    assert few.times[0] == clicks.times[0]
    assert few.times[-1] == clicks.times[-1]
    assert len(fields(few)) == 3
