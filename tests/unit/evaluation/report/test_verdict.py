"""Verdicts in words."""

import pytest
from factories.results import clicks, comparison, make_quick_results, make_results, plain, stars

from llmrec.evaluation.records.estimates import Estimate
from llmrec.evaluation.report.sections import headline_forest
from llmrec.evaluation.report.verdict import beside_baseline, of_the_text, verdict


def test_better_says_what_the_text_was_worth():
    said = verdict(make_results("Shop"))
    assert plain(said.sentence) == (
        "The text was worth +13.3 % NDCG@10 [+4.7 %, +21.9 %] on Shop, at 2.4 encoder-seconds per 1,000 reviews."
    )
    assert said.tone == "better"


def test_cannot_tell_says_so_and_how_much_it_could_have_missed():
    said = verdict(make_results("Shop", headline=comparison(difference=0.001)))
    assert said.sentence.startswith("Cannot tell whether the text helped: ")
    assert "0.0069; a smaller gain may be there unseen" in said.details[0]


def test_worse_says_so():
    said = verdict(make_results("Shop", headline=comparison(difference=-0.01)))
    assert plain(said.sentence).startswith("The text did harm: -18.0 % NDCG@10 [")


def test_no_comparison_makes_no_claim():
    said = verdict(make_quick_results())
    assert (said.tone, said.figure, said.details) == ("absent", "", ())


def test_without_a_ratio_the_difference_is_told():
    bare = comparison().model_copy(update={"ratio": None})
    assert plain(verdict(make_results("Shop", headline=bare)).figure) == "+0.0074 NDCG@10 [+0.0026, +0.0122]"


def test_where_the_base_is_not_well_known_the_difference_is_told_and_the_ratio_beside():
    wide = Estimate(value=0.133, low=0.01, high=0.79)
    found = plain(verdict(make_results("Shop", headline=comparison().model_copy(update={"ratio": wide}))).figure)
    assert found == "+0.0074 NDCG@10 [+0.0026, +0.0122] (+13.3 %)"
    drawn = headline_forest(make_results("Shop", headline=comparison().model_copy(update={"ratio": wide})))
    assert drawn is not None and "absolute difference" in drawn.caption and drawn.rows[0].value == "+0.0074"


def test_the_best_baseline_stands_beside():
    said = plain(beside_baseline(make_results()))
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
    assert "of Matrix factorisation with text" in beside_baseline(results)


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
    found = of_the_text(table)
    assert found is not None and plain(f"{found.tone}: {found.sentence}") == said


def test_a_label_without_the_pair_makes_no_claim() -> None:
    assert of_the_text(stars()) is None
