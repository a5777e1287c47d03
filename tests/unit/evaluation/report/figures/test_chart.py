"""Lines over two axes."""

import pytest

from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.report.figures.chart import N_COLOURS, ChartLine, chart
from llmrec.evaluation.report.figures.forest import forest


def test_nothing_is_drawn_of_nothing():
    assert forest("caption", []) is None
    assert chart("caption", "x", "y", [ChartLine("a", [])]) is None


def test_chart_puts_larger_values_higher():
    drawn = chart("c", "k", "recall", [ChartLine("a", [Point(x=1, y=0.1), Point(x=10, y=0.5)])], log_x=True)
    assert drawn is not None
    first, last = drawn.series[0].dots
    assert (first.x, last.x) == (0, 100)
    assert last.y < first.y


def test_square_chart_has_one_scale():
    drawn = chart("c", "p", "o", [ChartLine("a", [Point(x=0.2, y=0.2)])], square=True)
    assert drawn is not None
    dot = drawn.series[0].dots[0]
    assert dot.x == pytest.approx(100 - dot.y)


def test_a_flat_or_single_point_is_drawn():
    drawn = chart("c", "x", "y", [ChartLine("a", [Point(x=3, y=0.0)])])
    assert drawn is not None and all(0 <= d.x <= 100 and 0 <= d.y <= 100 for d in drawn.series[0].dots)


def test_many_lines_stay_apart_by_colour_or_dash():
    drawn = chart("c", "x", "y", [ChartLine(str(i), [Point(x=1, y=i)]) for i in range(2 * N_COLOURS)])
    assert drawn is not None
    assert len({(s.colour, s.dash) for s in drawn.series}) == 2 * N_COLOURS


def test_the_last_cutoff_keeps_its_label():
    ks = (1, 2, 5, 10, 20, 30, 50, 75, 100)
    drawn = chart("c", "k", "r", [ChartLine("a", [Point(x=k, y=k) for k in ks])], log_x=True)
    assert drawn is not None
    assert drawn.x_ticks[-1].label == "100" and "75" not in [t.label for t in drawn.x_ticks]
