"""Scales and ticks."""

from hypothesis import given
from hypothesis import strategies as st

from llmrec.evaluation.report.figures.axes import AxisScale, extent, ticks

finite = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(finite, st.floats(1e-6, 1e6))
def test_ticks_are_round_few_and_inside(low, width):
    high = low + width
    if high <= low:
        return
    found = ticks(low, high)
    slack = 1e-9 * (abs(low) + abs(high) + width)
    assert 1 <= len(found) <= 6
    assert all(low - slack <= t <= high + slack for t in found)
    assert found == sorted(set(found))


def test_ticks_known_case():
    assert ticks(-0.012, 0.052) == [0.0, 0.02, 0.04]


@given(st.lists(finite, min_size=1, max_size=8))
def test_extent_holds_every_value_and_is_never_empty(values):
    low, high = extent(values)
    assert low <= min(values) <= max(values) <= high
    assert low < high


def test_scales():
    assert AxisScale(0, 4)(1) == 25
    assert AxisScale(1, 100, log=True)(10) == 50
    assert AxisScale(0, 1)(7) == 100  # a band wider than the axis ends at its edge
