"""What stands beside the tables: training curves, feature families, the headline."""

import pytest
from factories.results import comparison, make_quick_results, make_results

from llmrec.evaluation.report.families import family_view
from llmrec.evaluation.report.render import render_html
from llmrec.evaluation.report.sections import curve_charts, headline_forest
from llmrec.evaluation.report.tuned import tuned_view


def test_curves_of_one_model_and_metric_share_a_chart():
    loss, auc = curve_charts(make_results())
    assert loss.caption == "Loss of the two tower"
    assert [s.label for s in loss.series] == [
        "text, train",
        "text, validation",
        "no text, train",
        "no text, validation",
    ]
    assert [s.label for s in auc.series] == ["validation"]


def test_families_stand_in_order_of_what_they_give_whichever_way_is_better():
    results = make_results()
    study = results.families[0]
    up = family_view(study, results).plots[0].rows
    down = family_view(study.model_copy(update={"metric": "rmse"}), results).plots[0].rows
    assert [r.label for r in up] == [r.label for r in down][::-1]
    assert (up[0].label, up[0].tone, down[-1].tone) == ("popularity", "better", "worse")


def test_a_study_shows_its_curve_and_what_a_budget_keeps():
    results = make_results()
    view = family_view(results.families[0], results)
    assert view.curve is not None and [s.label for s in view.curve.series] == [
        "ranked by f score", "ranked by gradient boosting",
    ]  # fmt: skip
    assert view.kept_caption == "3 columns kept within a budget of 8, ranked by f score"
    assert view.kept == [("text match", "2: match_0, match_1"), ("recency", "1: recency_days")]


def test_headline_band_is_in_the_unit_of_its_axis():
    results = make_results()
    drawn = headline_forest(results)
    assert drawn is not None and drawn.band is not None and drawn.zero is not None
    head = results.headline
    assert head is not None and head.comparison.ratio is not None and head.comparison.smallest_detectable is not None
    row = drawn.rows[0]
    per_unit = (row.x - drawn.zero) / head.comparison.difference.value
    assert drawn.band[1] - drawn.zero == pytest.approx(head.comparison.smallest_detectable * per_unit, rel=1e-3)


def test_what_tuning_was_worth_is_shown_by_itself_and_to_the_whole():
    results = make_results()
    view = tuned_view(results)
    assert view is not None and view.whole is None
    assert [(r.title, r.pairs, r.steps) for r in view.rows] == [
        ("As it came", "", ""), ("Tuned on 100 pairs", "100", "40"), ("Tuned", "5,200", "120"),
    ]  # fmt: skip
    assert view.sets == ["all likes of the test (500)", "likes of new items, among such (80)"]
    assert [[row.label for row in plot.rows] for plot in view.plots] == [["Tuned on 100 pairs", "Tuned"], ["Tuned"]]
    assert [c.caption for c in view.charts] == [
        "NDCG@10 by text alone against pairs learned from", "Loss of the encoder",
        "NDCG@10 by text alone on validation, which chose the step",
    ]  # fmt: skip
    assert "was not fitted on the encoder as it came" in render_html(results)
    control = results.controls[0].model_copy(
        update={"name": "frozen_encoder", "comparison": comparison("text", "frozen_encoder", 0.0123)}
    )
    whole = results.model_copy(update={"controls": [control]})
    assert "The whole system with the tuned encoder against the same" in render_html(whole)
    assert tuned_view(make_quick_results()) is None and 'id="tuning"' not in render_html(make_quick_results())
