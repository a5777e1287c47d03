"""Figures as text."""

import pytest
from factories.results import plain

from llmrec.evaluation.labels.metrics import CLICK, STARS
from llmrec.evaluation.records.estimates import Estimate
from llmrec.evaluation.report.format import duration, interval, number, percent, two_digits
from llmrec.evaluation.report.glossary import explained, metric_title
from llmrec.models.metrics import BEYOND_ACCURACY, RANKING


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05614, "0.0561"), (-0.0007, "-0.0007"), (7.25, "7.250"), (12345.6, "12,346"), (0, "0.0000"),
     (-1e-9, "0.0000"),
     (-0.99996, "-1.0000")],
)  # fmt: skip
def test_number(value, text):
    assert plain(number(value)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.132, "+13.2 %"), (-0.0035, "-0.35 %"), (12.5, "+1,250 %"), (0, "+0 %"), (-1e-9, "+0.00 %"), (0.001, "+0.10 %")],
)
def test_percent(share, text):
    assert plain(percent(share, signed=True)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.42 s"), (9, "9 s"), (59.6, "1 min"), (75.2, "1 min 15 s"), (3600, "1 h"), (4000, "1 h 6 min"),
     (42, "42 s")],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_interval_is_absent_without_one():
    assert interval(Estimate(value=0.1)) == ""
    assert plain(interval(Estimate(value=0.1, low=-0.05, high=0.25), signed=True)) == "[-0.0500, +0.2500]"


@pytest.mark.parametrize(("value", "said"), [(0.0421, "0.042"), (3.14, "3.1"), (112.7, "110"), (12_345.0, "12000")])
def test_two_digits_are_written_without_an_exponent(value: float, said: str) -> None:
    assert two_digits(value) == said


@pytest.mark.parametrize(
    ("metric", "title"),
    [
        ("ndcg@10", "NDCG@10"),
        ("log_loss", "Log loss"),
        ("diversity_text@5", "Diversity (text)@5"),
        ("hit_rate@5", "Hit rate@5"),
    ],
)
def test_metric_title(metric, title):
    assert metric_title(metric) == title


def test_every_metric_that_is_measured_is_explained_once():
    of_lists = (*RANKING, *BEYOND_ACCURACY)
    titles = [
        title for title, _ in explained([*(f"{name}@{k}" for name in of_lists for k in (10, 50)), *CLICK, *STARS])
    ]
    assert titles == [metric_title(name) for name in dict.fromkeys((*of_lists, *CLICK, *STARS))]
