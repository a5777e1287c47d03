"""Lists and figures that come block by block: nothing depends on where the blocks end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Fold, Queries, Wording
from llmrec.evaluation.data.protocols import temporal
from llmrec.evaluation.data.slices import SliceMask
from llmrec.evaluation.ranking import lists as files
from llmrec.evaluation.ranking.evaluator import Answer, Catalogue, EvaluatedModel, Measured, Table
from llmrec.evaluation.ranking.tables import TableScope, protocol_table
from llmrec.evaluation.ranking.topk import TopK, in_order
from llmrec.features.asof.interactions import Interactions
from llmrec.models import metrics
from llmrec.models.topk import blocks
from llmrec.schema import DAY_MS

N, K = 90, 6


@pytest.fixture(scope="module")
def fold() -> Fold:
    rng = np.random.default_rng(2)
    users, items = [f"u{u:02d}" for u in rng.integers(12, size=N)], [f"i{i:02d}" for i in rng.integers(20, size=N)]
    return temporal(Interactions.from_arrays(users, items, np.arange(N) * DAY_MS), 30 * DAY_MS, 50 * DAY_MS).test


def lists_of(n: int, seed: int) -> TopK:
    """(n, K) random lists of the 20 items of rows 1 to 20, some of them short."""
    rng = np.random.default_rng(seed)
    rows = np.argsort(rng.random((n, 20)), axis=1)[:, :K] + 1
    rows[rng.random(n) < 0.2, K - 2 :] = -1
    return TopK(rows, -np.tile(np.arange(K, dtype=np.float32), (n, 1)))


@dataclass(frozen=True)
class Listed:
    """Answers with prepared lists, in blocks of `size`."""

    tops: tuple[TopK, ...]
    size: int
    threads: int = 2

    def parts(self, fold: Fold) -> Sequence[slice]:
        return blocks(len(fold.queries), 1, self.size)

    def open(self, fold: Fold, k: int) -> Callable[[slice], tuple[TopK, ...]]:
        return lambda rows: tuple(TopK(t.item_rows[rows, :k], t.scores[rows, :k]) for t in self.tops)


def ask(folder: Path, folds: Sequence[Fold], size: int) -> list[Measured]:
    """Two models that answer together with two seeds, and one alone, about one fold after the other."""
    vectors = np.random.default_rng(5).standard_normal((folds[0].data.n_items, 3)).astype(np.float32)
    answers = tuple(Answer(n, "ours", n, "", fit_seconds=1.0, trials=2) for n in ("a", "b"))
    with files.Lists(str(folder), folds[0].data) as lists:
        table, first = Table(lists, Catalogue.of(folds[-1], vectors), (3, 5), K), 0
        for n, fold in enumerate(folds):
            tops = [lists_of(len(fold.queries), 10 * n + s) for s in range(5)]
            pairs = [Listed((tops[2 * s], tops[2 * s + 1]), size) for s in range(2)]
            table.ask(EvaluatedModel(answers, pairs), fold, first)
            table.ask(EvaluatedModel((Answer("c", "baseline", "c", ""),), [Listed((tops[4],), size)]), fold, first)
            first += len(fold.queries)
    return table.measured


def test_figures_and_files_do_not_depend_on_the_blocks(
    fold: Fold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = ask(tmp_path / "whole", [fold], 1_000)
    monkeypatch.setattr(files, "_ROW_GROUP", 50)
    parts = ask(tmp_path / "parts", [fold], 7)
    for a, b in zip(whole, parts, strict=True):
        assert (a.answer, a.n_seeds, a.recall_over_k, a.whole) == (b.answer, b.n_seeds, b.recall_over_k, b.whole)
        assert set(a.values) == set(b.values) >= {"ndcg@5", "novelty@3", "diversity_text@3"}
        for name, values in a.values.items():
            np.testing.assert_allclose(values, b.values[name], rtol=1e-12, err_msg=name)
    names = ["a", "a.seed2", "b", "b.seed2", "c"]
    assert sorted(p.stem for p in (tmp_path / "parts").iterdir()) == names
    for name in names:
        frames = [pd.read_parquet(tmp_path / way / f"{name}.parquet") for way in ("whole", "parts")]
        pd.testing.assert_frame_equal(*frames)


def test_figures_are_those_of_the_lists(fold: Fold, tmp_path: Path) -> None:
    a, b, c = ask(tmp_path, [fold], 7)
    tops = [lists_of(len(fold.queries), s) for s in range(5)]
    q, n_items = fold.queries, fold.data.n_items
    for model, seeds in ((a, (0, 2)), (b, (1, 3)), (c, (4,))):
        found = [metrics.list_metrics(tops[s].item_rows, q.indptr, q.item, n_items, (3, 5)) for s in seeds]
        for name in found[0]:
            np.testing.assert_allclose(model.values[name], np.mean([f[name] for f in found], axis=0), err_msg=name)
        rows = [tops[s].item_rows[:, :3] for s in seeds]
        n = int((fold.data.known_from < q.time.max()).sum())
        expected = np.mean([metrics.coverage(metrics.listed(r, n_items), n) for r in rows])
        assert model.whole["coverage@3"] == pytest.approx(expected)
        assert [p.x for p in model.recall_over_k] == [1, 2, 5]
        assert model.recall_over_k[2].y == pytest.approx(model.values["recall@5"].mean())
    shown = pd.read_parquet(tmp_path / "b.seed2.parquet")
    expected_items = np.array(fold.data.item_ids)[tops[3].item_rows[tops[3].item_rows >= 0]]
    assert shown.item_id.astype(str).tolist() == expected_items.tolist() and shown["rank"].max() == K


def test_folds_follow_one_another(fold: Fold, tmp_path: Path) -> None:
    once = ask(tmp_path / "once", [fold], 7)
    twice = ask(tmp_path / "twice", [fold, fold], 7)
    n = len(fold.queries)
    for a, b in zip(once, twice, strict=True):
        assert len(b.values["ndcg@3"]) == 2 * n
        np.testing.assert_array_equal(b.values["ndcg@3"][:n], a.values["ndcg@3"])
    assert (twice[0].answer.trials, twice[0].answer.fit_seconds) == (4, 2.0)
    assert (twice[2].answer.trials, twice[2].answer.fit_seconds) == (None, None)
    shown = pd.read_parquet(tmp_path / "twice" / "c.parquet")
    assert shown.query_id.is_monotonic_increasing and shown.query_id.nunique() == 2 * n


def test_a_table_holds_the_figures_of_models_and_slices(fold: Fold, tmp_path: Path) -> None:
    measured = ask(tmp_path, [fold], 7)
    even = np.arange(len(fold.queries)) % 2 == 0
    masks = [SliceMask("half", level, mask) for level, mask in (("even", even), ("odd", ~even))]
    asked = TableScope("temporal", "point_in_time", Wording("", "", "", ""), fold.queries, 20, 0)
    config = EvaluationConfig(cutoffs=(3, 5), primary_metric="ndcg@3", list_length=K, bootstrap=50)
    table, headline = protocol_table(asked, measured, masks, config, 7)
    assert [m.name for m in table.models] == ["a", "b", "c"] and headline is None
    for m, found in zip(measured, table.models, strict=True):
        assert found.metrics["ndcg@3"].value == pytest.approx(m.values["ndcg@3"].mean())
    assert [s.models["a"]["ndcg@3"].value for s in table.slices] == pytest.approx(
        [measured[0].values["ndcg@3"][m.mask].mean() for m in masks]
    )


def test_blocks_are_answered_in_order_and_few_at_a_time() -> None:
    started: list[int] = []

    def answer(rows: slice) -> int:
        started.append(rows.start)
        return rows.start

    found = in_order(answer, blocks(100, 1, 5), 2)
    assert [next(found), next(found)] == [0, 5]
    assert len(started) <= 6  # not all of them
    assert list(found) == list(range(10, 100, 5)) and sorted(started) == list(range(0, 100, 5))


def test_a_part_of_the_queries_is_those_queries() -> None:
    whole = Queries(np.array([4, 5, 6]), np.array([1, 2, 3]), np.array([0, 2, 3, 5]), np.arange(5), np.arange(5) * 10)
    part = whole.part(slice(1, 3))
    assert (part.user.tolist(), part.time.tolist()) == ([5, 6], [2, 3])
    assert (part.indptr.tolist(), part.item.tolist(), part.event.tolist()) == ([0, 1, 3], [2, 3, 4], [20, 30, 40])
