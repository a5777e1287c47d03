"""What an evaluation prints."""

import io

from factories.results import make_quick_results, make_results
from rich.console import Console

from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.console import show


def printed(results: Results) -> str:
    out = io.StringIO()
    show(results, Console(file=out, width=140))
    return out.getvalue()


def families_in_order(results: Results) -> list[str]:
    shown = printed(results).split("feature families")[1]
    return sorted((f.family for f in results.families[0].families), key=shown.index)


def test_families_stand_in_order_of_what_is_lost_without_them() -> None:
    results = make_results()
    expected = ["popularity", "recency", "text profile", "text match", "collaborative", "ratings"]
    assert families_in_order(results) == expected
    study = results.families[0].model_copy(update={"metric": "log_loss"})  # a loss: what lowers it is worth something
    assert families_in_order(results.model_copy(update={"families": [study]})) == expected[::-1]


def test_the_verdict_comes_last_with_its_interval() -> None:
    last = printed(make_results()).splitlines()[-1]
    assert last == "text against no_text, ndcg@10: +0.0074 [0.003, 0.012] (+13.3%): better"


def test_a_run_without_a_study_shows_none() -> None:
    assert "feature families" not in printed(make_quick_results())
