"""Geometry of the figures."""

import math

import pytest
from factories.results import comparison, make_results
from hypothesis import given
from hypothesis import strategies as st

from llmrec.evaluation.records.estimates import Estimate, Point
from llmrec.evaluation.report import plots, sections, views
from llmrec.evaluation.report.plots import Line, Mark, Scale

finite = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(finite, st.floats(1e-6, 1e6))
def test_ticks_are_round_few_and_inside(low, width):
    high = low + width
    if high <= low:
        return
    found = plots.ticks(low, high)
    slack = 1e-9 * (abs(low) + abs(high) + width)
    assert 1 <= len(found) <= 6
    assert all(low - slack <= t <= high + slack for t in found)
    assert found == sorted(set(found))


def test_ticks_known_case():
    assert plots.ticks(-0.012, 0.052) == [0.0, 0.02, 0.04]


@given(st.lists(finite, min_size=1, max_size=8))
def test_extent_holds_every_value_and_is_never_empty(values):
    low, high = plots.extent(values)
    assert low <= min(values) <= max(values) <= high
    assert low < high


def test_scales():
    assert Scale(0, 4)(1) == 25
    assert Scale(1, 100, log=True)(10) == 50
    assert Scale(0, 1)(7) == 100  # a band wider than the axis ends at its edge


def test_forest_keeps_order_and_position():
    marks = [Mark("a", "ours", Estimate(value=0.2, low=0.1, high=0.3)), Mark("b", "baseline", Estimate(value=-0.1))]
    drawn = plots.forest("caption", marks, around_zero=True)
    assert drawn is not None and drawn.zero is not None
    a, b = drawn.rows
    assert a.low is not None and a.high is not None
    assert b.x < drawn.zero < a.low < a.x < a.high
    assert math.isclose(a.x - a.low, a.high - a.x, abs_tol=1e-2)
    assert (b.low, b.high, b.span) == (None, None, "")


def test_nothing_is_drawn_of_nothing():
    assert plots.forest("caption", []) is None
    assert plots.chart("caption", "x", "y", [Line("a", [])]) is None


def test_chart_puts_larger_values_higher():
    drawn = plots.chart("c", "k", "recall", [Line("a", [Point(x=1, y=0.1), Point(x=10, y=0.5)])], log_x=True)
    assert drawn is not None
    first, last = drawn.series[0].dots
    assert (first.x, last.x) == (0, 100)
    assert last.y < first.y


def test_square_chart_has_one_scale():
    drawn = plots.chart("c", "p", "o", [Line("a", [Point(x=0.2, y=0.2)])], square=True)
    assert drawn is not None
    dot = drawn.series[0].dots[0]
    assert dot.x == pytest.approx(100 - dot.y)


def test_a_flat_or_single_point_is_drawn():
    drawn = plots.chart("c", "x", "y", [Line("a", [Point(x=3, y=0.0)])])
    assert drawn is not None and all(0 <= d.x <= 100 and 0 <= d.y <= 100 for d in drawn.series[0].dots)


def test_many_lines_stay_apart_by_colour_or_dash():
    drawn = plots.chart("c", "x", "y", [Line(str(i), [Point(x=1, y=i)]) for i in range(2 * plots.N_COLOURS)])
    assert drawn is not None
    assert len({(s.colour, s.dash) for s in drawn.series}) == 2 * plots.N_COLOURS


def test_comparisons_without_ratios_are_drawn_as_differences():
    bare = comparison().model_copy(update={"ratio": None})
    drawn = plots.comparison_forest("c", [("a", comparison()), ("b", bare)])
    assert drawn is not None and not any("%" in row.value for row in drawn.rows)


def test_models_are_ranked_within_their_kind():
    results = make_results()
    table = results.protocols[0]
    ranked = [m.name for m in views.ranked(table.models, "ndcg@10")]
    assert ranked[:4] == ["text", "no_text", "popularity_decayed", "boosted"]
    stars = results.table("stars")
    assert stars is not None
    assert [m.name for m in views.ranked(stars.models, "rmse")] == ["mf_text", "bias"]


def test_best_reading_knows_its_direction_and_spares_descriptions():
    results = make_results()
    best = {c.metric: c.best for c in views.columns(results.protocols[0])}
    assert best["ndcg@10"] == "text" and best["coverage@10"] is None
    assert {c.metric: c.best for c in views.columns(results.labels[1])} == {"rmse": "mf_text"}


def test_columns_begin_with_the_primary_and_merge_what_reads_alike():
    results = make_results()
    protocol = results.protocols[0]
    for model in protocol.models:
        model.metrics["hit_rate@10"] = model.metrics["recall@10"]
    found = views.columns(protocol, "recall@50")
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
    view = views.protocol_view(protocol, "recall@50")
    assert view.alike == ["Hit rate@10 reads as Recall@10"]
    assert [g[0].metric for g in view.column_groups] == ["recall@50", "coverage@10"]


def test_the_last_cutoff_keeps_its_label():
    ks = (1, 2, 5, 10, 20, 30, 50, 75, 100)
    drawn = plots.chart("c", "k", "r", [Line("a", [Point(x=k, y=k) for k in ks])], log_x=True)
    assert drawn is not None
    assert drawn.x_ticks[-1].label == "100" and "75" not in [t.label for t in drawn.x_ticks]


def test_curves_of_one_model_and_metric_share_a_chart():
    loss, auc = sections.curve_charts(make_results())
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
    up = sections.family_view(study, results).plots[0].rows
    down = sections.family_view(study.model_copy(update={"metric": "rmse"}), results).plots[0].rows
    assert [r.label for r in up] == [r.label for r in down][::-1]
    assert (up[0].label, up[0].tone, down[-1].tone) == ("popularity", "better", "worse")


def test_a_study_shows_its_curve_and_what_a_budget_keeps():
    results = make_results()
    view = sections.family_view(results.families[0], results)
    assert view.curve is not None and [s.label for s in view.curve.series] == [
        "ranked by f score", "ranked by gradient boosting",
    ]  # fmt: skip
    assert view.kept_caption == "3 columns kept within a budget of 8, ranked by f score"
    assert view.kept == [("text match", "2: match_0, match_1"), ("recency", "1: recency_days")]


def test_headline_band_is_in_the_unit_of_its_axis():
    results = make_results()
    drawn = sections.headline_forest(results)
    assert drawn is not None and drawn.band is not None and drawn.zero is not None
    head = results.headline
    assert head is not None and head.comparison.ratio is not None and head.comparison.smallest_detectable is not None
    row = drawn.rows[0]
    per_unit = (row.x - drawn.zero) / head.comparison.difference.value
    assert drawn.band[1] - drawn.zero == pytest.approx(head.comparison.smallest_detectable * per_unit, rel=1e-3)
