"""Dots with intervals."""

import math

from factories.results import comparison

from llmrec.evaluation.records.estimates import Estimate
from llmrec.evaluation.report.figures.forest import Mark, comparison_forest, forest


def test_forest_keeps_order_and_position():
    marks = [Mark("a", "ours", Estimate(value=0.2, low=0.1, high=0.3)), Mark("b", "baseline", Estimate(value=-0.1))]
    drawn = forest("caption", marks, around_zero=True)
    assert drawn is not None and drawn.zero is not None
    a, b = drawn.rows
    assert a.low is not None and a.high is not None
    assert b.x < drawn.zero < a.low < a.x < a.high
    assert math.isclose(a.x - a.low, a.high - a.x, abs_tol=1e-2)
    assert (b.low, b.high, b.span) == (None, None, "")


def test_comparisons_without_ratios_are_drawn_as_differences():
    bare = comparison().model_copy(update={"ratio": None})
    drawn = comparison_forest("c", [("a", comparison()), ("b", bare)])
    assert drawn is not None and not any("%" in row.value for row in drawn.rows)
