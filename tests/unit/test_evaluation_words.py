"""Numbers and verdicts in words."""

import pytest
from factories.results import clicks, comparison, make_quick_results, make_results, stars

from llmrec.evaluation.records.estimates import Estimate
from llmrec.evaluation.report import format as words


def plain(text: str) -> str:
    return text.replace(words.NBSP, " ").replace(words.MINUS, "-")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05614, "0.0561"), (-0.0007, "-0.0007"), (7.25, "7.250"), (12345.6, "12,346"), (0, "0.0000"),
     (-1e-9, "0.0000"),
     (-0.99996, "-1.0000")],
)  # fmt: skip
def test_number(value, text):
    assert plain(words.number(value)) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.132, "+13.2 %"), (-0.0035, "-0.35 %"), (12.5, "+1,250 %"), (0, "+0 %"), (-1e-9, "+0.00 %"), (0.001, "+0.10 %")],
)
def test_percent(share, text):
    assert plain(words.percent(share, signed=True)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.42 s"), (9, "9 s"), (59.6, "1 min"), (75.2, "1 min 15 s"), (3600, "1 h"), (4000, "1 h 6 min"),
     (42, "42 s")],
)  # fmt: skip
def test_duration(seconds, text):
    assert words.duration(seconds) == text


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
    assert words.metric_title(metric) == title


def test_interval_is_absent_without_one():
    assert words.interval(Estimate(value=0.1)) == ""
    assert plain(words.interval(Estimate(value=0.1, low=-0.05, high=0.25), signed=True)) == "[-0.0500, +0.2500]"


def test_better_says_what_the_text_was_worth():
    said = words.verdict(make_results("Shop"))
    assert plain(said.sentence) == (
        "The text was worth +13.3 % NDCG@10 [+4.7 %, +21.9 %] on Shop, at 2.4 encoder-seconds per 1,000 reviews."
    )
    assert said.tone == "better"


def test_cannot_tell_says_so_and_how_much_it_could_have_missed():
    said = words.verdict(make_results("Shop", headline=comparison(difference=0.001)))
    assert said.sentence.startswith("Cannot tell whether the text helped: ")
    assert "0.0069; a smaller gain may be there unseen" in said.details[0]


def test_worse_says_so():
    said = words.verdict(make_results("Shop", headline=comparison(difference=-0.01)))
    assert plain(said.sentence).startswith("The text did harm: -18.0 % NDCG@10 [")


def test_no_comparison_makes_no_claim():
    said = words.verdict(make_quick_results())
    assert (said.tone, said.figure, said.details) == ("absent", "", ())


def test_without_a_ratio_the_difference_is_told():
    bare = comparison().model_copy(update={"ratio": None})
    assert plain(words.verdict(make_results("Shop", headline=bare)).figure) == "+0.0074 NDCG@10 [+0.0026, +0.0122]"


def test_the_best_baseline_stands_beside():
    said = plain(words.beside_baseline(make_results()))
    figures = "0.0631 against 0.0561 of Popularity, decayed"
    assert said == f"Beside the best baseline, {figures}: cannot tell, +12.5 % [-2.0 %, +26.9 %]."


def test_the_best_baseline_on_an_error_is_the_lowest():
    results = make_results()
    stars = results.table("stars")
    assert stars is not None
    stars.models.append(stars.models[0].model_copy(update={"name": "ours", "kind": "ours"}))
    assert results.headline is not None
    results.headline.protocol = "stars"
    results.headline.comparison = comparison("ours", "bias", metric="rmse", difference=-0.001)
    assert "of Matrix factorisation with text" in words.beside_baseline(results)


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.014, "better: The text was worth +0.0140 AUC [+0.0080, +0.0200] on these rows."),
        (-0.014, "worse: The text did harm: -0.0140 AUC [-0.0200, -0.0080] on these rows."),
        (0.002, "unknown: Cannot tell whether the text helped: +0.0020 AUC [-0.0040, +0.0080] on these rows."),
    ],
)
def test_a_label_says_what_the_text_was_worth(difference: float, said: str) -> None:
    table = clicks().model_copy(update={"comparisons": [comparison(difference=difference, half=0.006, metric="auc")]})
    found = words.of_the_text(table)
    assert found is not None and plain(f"{found.tone}: {found.sentence}") == said


def test_a_label_without_the_pair_makes_no_claim() -> None:
    assert words.of_the_text(stars()) is None


@pytest.mark.parametrize(("value", "said"), [(0.0421, "0.042"), (3.14, "3.1"), (112.7, "110"), (12_345.0, "12000")])
def test_two_digits_are_written_without_an_exponent(value: float, said: str) -> None:
    assert words.two_digits(value) == said
