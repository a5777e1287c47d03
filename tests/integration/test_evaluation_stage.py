"""The stage `report` on a small built-in corpus, recomputed from its files alone by independent code."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from llmrec import storage
from llmrec.code_identity import code_version
from llmrec.config import RunConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding import load_vectors
from llmrec.evaluation import evaluate
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import ResultTable
from llmrec.experiment import CONTROLS, control_names, run_study, swapped
from llmrec.pipeline import Run
from llmrec.storage import Artifact


@pytest.fixture(scope="module")
def run(small_run: Run) -> Run:
    return small_run


@pytest.fixture(scope="module")
def report(run: Run) -> Artifact:
    return run.artifacts["report"]


@pytest.fixture(scope="module")
def results(report: Artifact) -> Results:
    return Results.model_validate(report.json("results.json"))


def folder_of(results: Results, name: str) -> str:
    return "" if name == results.protocols[0].name else f"{name}/"


def from_the_files(lists: pd.DataFrame, truth: pd.DataFrame, k: int) -> dict[str, float]:
    """Every ranking metric, query by query, from two Parquet files and nothing else."""
    relevant = truth.groupby("query_id").item_id.agg(set)
    shown = lists[lists["rank"] <= k].sort_values("rank").groupby("query_id").item_id.agg(list)
    rows = []
    for query, wanted in relevant.items():
        hit = [i in wanted for i in shown.get(query, [])]
        ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted))))
        precisions = [sum(hit[: r + 1]) / (r + 1) for r, h in enumerate(hit) if h]
        rows.append({
            "hit_rate": any(hit), "recall": sum(hit) / len(wanted), "recall_min": sum(hit) / min(k, len(wanted)),
            "precision": sum(hit) / k, "mrr": 1 / (hit.index(True) + 1) if any(hit) else 0,
            "ndcg": sum(1 / math.log2(r + 2) for r, h in enumerate(hit) if h) / ideal,
            "map": sum(precisions) / min(k, len(wanted)),
        })  # fmt: skip
    return {f"{name}@{k}": float(value) for name, value in pd.DataFrame(rows).mean().items()}


@pytest.mark.parametrize("protocol", ["temporal", "frozen", "leave_last_out", "random"])
def test_every_ranking_figure_follows_from_the_files(report: Artifact, results: Results, protocol: str) -> None:
    table = results.table(protocol)
    assert table is not None and len(table.models) >= 4
    folder = folder_of(results, protocol)
    truth = pd.read_parquet(report.uri(f"{folder}truth.parquet"))
    for model in table.models:
        lists = pd.read_parquet(report.uri(f"{folder}recommendations/{model.name}.parquet"))
        for k in (5, 20):
            expected = from_the_files(lists, truth, k)
            assert {m: model.metrics[m].value for m in expected} == pytest.approx(expected, abs=1e-9), model.name
        shown = lists[lists["rank"] <= 5].item_id.astype(str)
        assert model.metrics["coverage@5"].value == pytest.approx(shown.nunique() / table.n_items)  # type: ignore[attr-defined]


def test_lists_are_whole_and_in_order(report: Artifact, results: Results) -> None:
    for table in results.protocols:
        folder = folder_of(results, table.name)
        truth = pd.read_parquet(report.uri(f"{folder}truth.parquet"))
        assert truth.query_id.nunique() == table.n_queries
        for model in table.models:
            lists = pd.read_parquet(report.uri(f"{folder}recommendations/{model.name}.parquet"))
            assert not lists.duplicated(["query_id", "item_id"]).any()
            assert not lists.duplicated(["query_id", "rank"]).any()
            by_query = lists.sort_values(["query_id", "rank"]).groupby("query_id")
            assert (by_query["rank"].last() == by_query.size()).all()
            assert (by_query.score.diff().dropna() <= 1e-6).all()
            users = truth.drop_duplicates("query_id").set_index("query_id").user_id.astype(str)
            shown = lists.drop_duplicates("query_id").set_index("query_id").user_id.astype(str)
            assert (users.loc[shown.index] == shown).all()


def test_no_list_of_a_clock_holds_what_was_had_or_not_known(run: Run, report: Artifact) -> None:
    reviews = run.artifacts["corpus"].table("reviews").to_pandas()
    items = run.artifacts["corpus"].table("items").to_pandas()
    first = reviews.groupby("item_id").timestamp.min()
    dates = items.set_index("item_id").available_from
    known = pd.concat([first, dates.dropna().astype("int64")]).groupby(level=0).min()
    truth = pd.read_parquet(report.uri("truth.parquet"))
    for model in ("text", "text_retrieval", "ease", "recent_popularity"):
        lists = pd.read_parquet(report.uri(f"recommendations/{model}.parquet")).merge(
            truth[["query_id", "timestamp"]], on="query_id"
        )
        assert (known.reindex(lists.item_id.astype(str)).to_numpy() < lists.timestamp.to_numpy()).all()
        had = lists.astype({"user_id": str, "item_id": str}).merge(
            reviews[["user_id", "item_id", "timestamp"]], on=["user_id", "item_id"], suffixes=("", "_had")
        )
        assert not (had.timestamp_had < had.timestamp).any()


def test_click_figures_follow_from_the_files(report: Artifact, results: Results) -> None:
    table = results.table("click")
    assert table is not None and [m.name for m in table.models][:2] == ["text", "no_text"]
    baselines = ["ncf", "boosted", "popularity", "text_logistic", "boosted_no_text"]  # the last reads other columns
    assert [m.name for m in table.models][2:] == baselines
    check_probabilities(report, table, "clicks")


def test_like_figures_follow_from_the_files(run: Run, report: Artifact, results: Results) -> None:
    table = results.table("like")
    names = ["text", "no_text", "rates", "text_logistic", "rates_text"]
    assert table is not None and [m.name for m in table.models] == names
    assert [m.kind for m in table.models] == ["ours"] * 2 + ["baseline"] * 3
    assert {c.against for c in table.comparisons if c.model == "text"} == set(names[1:])
    check_probabilities(report, table, "likes")
    rows = pd.read_parquet(report.uri("likes/rates.parquet")).astype({"user_id": str, "item_id": str})
    reviews = run.artifacts["corpus"].table("reviews").to_pandas()
    both = rows.merge(reviews, on=["user_id", "item_id", "timestamp"])
    assert len(both) == len(rows) == table.n_rows and (both.label == (both.stars >= 4)).all()
    assert both.timestamp.min() >= (results.protocols[0].t2 or 0)


def test_the_report_shows_families_and_likes(report: Artifact, results: Results) -> None:
    assert [s.metric for s in results.families] == ["auc", "log_loss"]
    page = Path(report.uri("report.html")).read_text(encoding="utf-8")
    for text in ("Which features carry it", "text* (all", "dimensions kept", "Likes", "Rates + text"):
        assert text in page, text


def test_each_bundles_card_has_its_test_figures(report: Artifact, results: Results) -> None:
    for variant in ("text", "no_text"):
        card = Path(report.uri(f"cards/{variant}.md")).read_text(encoding="utf-8")
        model = results.protocols[0].model(variant)
        assert model is not None and f"ndcg@5 {model.metrics['ndcg@5'].value:.4f}" in card
        assert f"variant `{variant}`" in card and "Not evaluated yet" not in card


def test_training_curves_name_model_and_arm(results: Results) -> None:
    assert {(c.model, c.variant) for c in results.training_curves} == {
        (model, variant) for model in ("retriever.two_tower", "ranker") for variant in ("text", "no_text")
    }


def check_probabilities(report: Artifact, table: ResultTable, folder: str) -> None:
    for model in table.models:
        rows = pd.read_parquet(report.uri(f"{folder}/{model.name}.parquet"))
        expected = {
            "auc": sk.roc_auc_score(rows.label, rows.probability),
            "log_loss": sk.log_loss(rows.label, rows.probability.clip(1e-7, 1 - 1e-7)),
            "accuracy": sk.accuracy_score(rows.label, rows.probability >= 0.5),
        }
        groups = [g for _, g in rows.groupby("user_id", observed=True) if 0 < g.label.sum() < len(g)]
        weights = [len(g) for g in groups]
        expected["gauc"] = np.average([sk.roc_auc_score(g.label, g.probability) for g in groups], weights=weights)
        assert {m: model.metrics[m].value for m in expected} == pytest.approx(expected, abs=1e-9)


def test_models_see_the_same_clicks(report: Artifact) -> None:
    columns = ["user_id", "item_id", "timestamp", "label"]
    text, no_text = (pd.read_parquet(report.uri(f"clicks/{m}.parquet"))[columns] for m in ("text", "no_text"))
    pd.testing.assert_frame_equal(text, no_text)
    assert 0.15 < text.label.mean() < 0.3


def test_information_sets_never_mix_and_ours_is_in_no_transductive_table(results: Results) -> None:
    sets = {t.name: t.information_set for t in results.protocols}
    assert sets == {"temporal": "point_in_time", "frozen": "point_in_time", "leave_last_out": "transductive",
                    "random": "transductive"}  # fmt: skip
    for table in results.protocols:
        ours = {m.name for m in table.models if m.kind == "ours"}
        assert bool(ours) == (table.information_set == "point_in_time")


def test_slices_add_up_to_the_whole(results: Results) -> None:
    table = results.protocols[0]
    by: dict[str, int] = {}
    for s in table.slices:
        by[s.by] = by.get(s.by, 0) + s.n
    assert {"history length", "user", "item", "item text, characters"} <= set(by)
    assert set(by.values()) == {table.n_queries}
    whole = {m.name: m.metrics["ndcg@5"].value for m in table.models}
    parts = [s for s in table.slices if s.by == "history length"]
    for name, value in whole.items():
        mean = sum(s.n * s.models[name]["ndcg@5"].value for s in parts) / table.n_queries
        assert mean == pytest.approx(value, abs=1e-9)


def test_the_headline_is_the_comparison_fixed_before(results: Results) -> None:
    assert results.headline is not None
    c = results.headline.comparison
    assert (c.model, c.against, c.metric, c.n_comparisons) == ("text", "no_text", "ndcg@5", 2)
    table = results.protocols[0]
    assert table.comparisons[0] == c
    rivals = {m.name: m.metrics["ndcg@5"].value for m in table.models if m.kind == "baseline"}
    assert table.comparisons[1].against == max(rivals, key=lambda name: rivals[name])
    assert {x.n_comparisons for x in table.comparisons[2:]} == {len(table.comparisons) - 2 + len(table.slices)}
    assert "log_rank@20" in {x.metric for x in table.comparisons} and results.headline.effort is not None


def test_asked_again_it_is_found(run: Run) -> None:
    bundles = {variant: run.artifacts[f"bundle.{variant}"] for variant in run.variants}
    again = evaluate(run.config, run.storage, run.artifacts["corpus"], run.artifacts["embeddings"], bundles)
    assert again.reused and again.id == run.artifacts["report"].id
    assert Path(again.uri("report.html")).stat().st_size > 10_000


def test_an_edit_of_the_pages_measures_nothing_again(
    run: Run, report: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        storage, "code_version", lambda *m: "edited" if "evaluation.stage" in m[0] else code_version(*m)
    )
    monkeypatch.delattr("llmrec.evaluation.measure._results")
    bundles = {variant: run.artifacts[f"bundle.{variant}"] for variant in run.variants}
    again = evaluate(run.config, run.storage, run.artifacts["corpus"], run.artifacts["embeddings"], bundles)
    assert again.id != report.id and again.json("results.json") == report.json("results.json")
    assert {r.path.split("/", 1)[1] for r in again.manifest.files} == {
        r.path.split("/", 1)[1] for r in report.manifest.files
    }


def test_controls_join_the_table_and_are_set_against_the_text(run: Run) -> None:
    names = ("ids_only", "text_only", "shuffled_text")
    asked = {"protocols": ("temporal",), "baselines": (), "controls": names}
    config = run.config.model_copy(update={"evaluation": run.config.evaluation.model_copy(update=asked)})
    bundles = {variant: run.artifacts[f"bundle.{variant}"] for variant in run.variants}
    parents = run.artifacts["corpus"], run.artifacts["embeddings"]
    found = Results.model_validate(run_study(config, run.storage, *parents, bundles).json("results.json"))
    assert {m.name for m in found.protocols[0].models if m.kind == "control"} == set(names)
    assert [c.name for c in found.controls] == list(names)
    assert all((c.comparison.model, c.comparison.against) == ("text", c.name) for c in found.controls)
    values = {m.name: m.metrics["ndcg@5"].value for m in found.protocols[0].models}
    assert len({round(values[n], 6) for n in ("text", *names)}) > 2  # the swaps do change the models


def test_full_has_all_controls() -> None:
    full = RunConfig.model_validate({"evaluation": {"size": "full"}})
    absent = {"no_readings", "frozen_encoder"}  # the default reads and tunes nothing
    unread = tuple(name for name in CONTROLS if name not in absent)
    assert control_names(full) == unread and control_names(RunConfig()) == ()
    read = RunConfig.model_validate({"evaluation": {"size": "full"}, "reading": {"reader": "lexicon"},
                                     "tuning": {"objectives": {"contrastive": 1}}})  # fmt: skip
    assert control_names(read) == tuple(CONTROLS)


def test_swapped_inputs_are_what_they_say(run: Run) -> None:
    embeddings, storage = run.artifacts["embeddings"], run.storage
    ids = run.artifacts["corpus"].table("reviews")["review_id"].to_pylist()
    true, _ = load_vectors(storage, embeddings, "review", ids)
    vectors = {
        swap: load_vectors(storage, swapped(storage, embeddings, swap, 3), "review", ids)[0]
        for swap in ("random_vectors", "shuffled_text", "masked_reviews")
    }
    assert not vectors["masked_reviews"].any()
    assert (vectors["shuffled_text"] != true).any(axis=1).mean() > 0.9
    np.testing.assert_allclose(np.sort(vectors["shuffled_text"].sum(axis=1)), np.sort(true.sum(axis=1)), atol=1e-5)
    random = vectors["random_vectors"]
    np.testing.assert_allclose(np.linalg.norm(random[true.any(axis=1)], axis=1), 1, atol=1e-5)
    assert abs(np.corrcoef(random.ravel(), true.ravel())[0, 1]) < 0.02
    again, _ = load_vectors(storage, embeddings, "review", ids)
    np.testing.assert_array_equal(again, true)  # nothing of the original has changed


def test_star_figures_follow_from_the_files(report: Artifact, results: Results) -> None:
    table = results.table("stars")
    assert table is not None and [m.name for m in table.models] == ["bias", "matrix_factorization", "bias_text"]
    for model in table.models:
        rows = pd.read_parquet(report.uri(f"stars/{model.name}.parquet"))
        assert model.metrics["rmse"].value == pytest.approx(sk.root_mean_squared_error(rows.stars, rows.predicted))
        assert model.metrics["mae"].value == pytest.approx(sk.mean_absolute_error(rows.stars, rows.predicted))
    assert {g.put_back for g in results.leak_gaps} == {"user side", "item side", "both"}


def test_an_encoder_that_is_fitted_says_until_when_it_learned(run: Run) -> None:
    until = review_cutoffs(run.artifacts["corpus"], run.config.split).t1
    assert run.artifacts["embeddings"].manifest.info["learned_before"] == until
