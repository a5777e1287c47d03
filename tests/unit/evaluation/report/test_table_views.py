"""Tables as the report shows them: order, columns, best readings."""

from factories.results import make_results

from llmrec.evaluation.report.columns import columns
from llmrec.evaluation.report.tables import protocol_view, ranked


def test_models_are_ranked_within_their_kind():
    results = make_results()
    table = results.protocols[0]
    assert [m.name for m in ranked(table.models, "ndcg@10")][:4] == ["text", "no_text", "popularity_decayed", "boosted"]
    stars = results.table("stars")
    assert stars is not None
    assert [m.name for m in ranked(stars.models, "rmse")] == ["mf_text", "bias"]


def test_best_reading_knows_its_direction_and_spares_descriptions():
    results = make_results()
    best = {c.metric: c.best for c in columns(results.protocols[0])}
    assert best["ndcg@10"] == "text" and best["coverage@10"] is None
    assert {c.metric: c.best for c in columns(results.labels[1])} == {"rmse": "mf_text"}


def test_columns_begin_with_the_primary_and_merge_what_reads_alike():
    results = make_results()
    protocol = results.protocols[0]
    for model in protocol.models:
        model.metrics["hit_rate@10"] = model.metrics["recall@10"]
    found = columns(protocol, "recall@50")
    assert [c.metric for c in found] == [
        "recall@50",
        "ndcg@10",
        "recall@10",
        "mrr@10",
        "coverage@10",
        "gini@10",
        "novelty@10",
    ]
    assert [c.same for c in found if c.same] == [("Hit rate@10",)]
    view = protocol_view(protocol, "recall@50")
    assert view.alike == ["Hit rate@10 reads as Recall@10"]
    assert [g[0].metric for g in view.column_groups] == ["recall@50", "coverage@10"]
