"""What stands beside the verdict: where it holds, and how the figures read."""

import io

import pytest
from factories.results import comparison, make_quick_results, make_results, plain
from rich.console import Console

from llmrec.evaluation.data.slices import BLOCKBUSTERS
from llmrec.evaluation.records.estimates import Comparison, Estimate
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import Sensitivity, Slice
from llmrec.evaluation.report.console import show
from llmrec.evaluation.report.render import render_html
from llmrec.evaluation.report.verdict import how_to_read, verdict, where_it_helps


def interaction(value: float, half: float, closed: bool = False) -> Comparison:
    made = comparison(difference=value, half=half)
    verdict = "cannot tell" if closed else made.verdict
    return made.model_copy(update={"ratio": None, "n_comparisons": 31, "closed": closed, "verdict": verdict})


def with_interactions(found: dict[str, tuple[float, float]], closed: bool = False) -> Results:
    """The fixture's items: level -> interaction and half of its interval."""
    results = make_results("Shop")
    for part in results.protocols[0].slices:
        if part.by == "item" and part.level in found:
            part.interaction = interaction(*found[part.level], closed)
    return results


def test_the_headline_names_the_part_where_text_is_worth_more() -> None:
    results = with_interactions({"new": (0.03, 0.02), "tail": (0.06, 0.01), "head": (-0.04, 0.03)})
    parts = {s.level: s for s in results.protocols[0].slices if s.by == "item"}
    parts["new"].comparisons = [comparison(difference=0.021, half=0.0125)]  # tail's own interval holds zero
    found = verdict(results)
    where = (
        "on Shop, and +37.7 % [+15.3 %, +60.1 %] for items that training never saw, at 2.4 encoder-seconds per 1,000"
    )
    assert where in plain(found.sentence)
    told = plain(found.details[0])
    assert "61 queries, text is worth +37.7 % NDCG@10" in told
    assert "more than in the rest by 0.0300 NDCG@10 [+0.0100, +0.0500], corrected for all 31 comparisons" in told


def test_where_no_part_differs_the_headline_names_none() -> None:
    found = verdict(with_interactions({"new": (0.01, 0.02), "tail": (0.006, 0.01)}))
    assert found.sentence.endswith("on Shop, at 2.4 encoder-seconds per 1,000 reviews.")
    assert "none of 2 parts of the queries differs from the rest" in found.details[0]


def test_where_text_is_worth_less_is_said_but_is_no_headline() -> None:
    found = verdict(with_interactions({"new": (-0.05, 0.02)}))
    assert found.sentence.endswith("on Shop, at 2.4 encoder-seconds per 1,000 reviews.")
    assert found.details[0].startswith("Where it helps less: for items that training never saw, 61 queries")


def test_behind_a_closed_gate_there_is_but_a_hint() -> None:
    found = verdict(with_interactions({"new": (0.05, 0.02)}, closed=True))
    assert (
        found.sentence.endswith("on Shop, at 2.4 encoder-seconds per 1,000 reviews.")
        and "is a hint" in found.details[0]
    )


def test_a_run_without_parts_says_nothing_of_them() -> None:
    assert where_it_helps(make_results()) == "" and where_it_helps(make_quick_results()) == ""


def test_the_page_sets_every_part_against_the_rest() -> None:
    page = render_html(with_interactions({"new": (0.05, 0.02), "tail": (-0.05, 0.02)}))
    assert page.count("worth more here") == 1 and page.count("worth less here") == 1
    assert page.count(">too few<") == 6  # five histories and the head, which were not set against the rest


def test_how_to_read_it_says_who_had_no_history_what_is_out_of_reach_and_what_was_ranked() -> None:
    results = make_results()
    results.protocols[0].n_ranked = 200
    results.protocols[1].models = [m for m in results.protocols[1].models if m.kind != "ours"]
    lines = [plain(line) for line in how_to_read(results)]
    assert lines[0].startswith("13.4 % of the 1,032 queries come from users without a history: ")
    assert lines[1].startswith("1.1 % of the targets are out of reach")
    assert lines[2] == ("Of 897 items, retrieval hands 200 to our ranker for each query; baselines rank all.")
    assert lines[3].startswith("Ranking, leave last out: none of our models is in this table")
    page = plain(render_html(results))
    assert all(line in page for line in lines)
    assert page.index(lines[3]) < page.index('<section id="table-0">'), "it stands on the first screen"
    out = io.StringIO()
    show(results, Console(file=out, width=140))
    assert all(line in plain(out.getvalue()) for line in lines)


@pytest.mark.parametrize(("ranked", "said"), [(897, "All 897 items are ranked"), (900, "All 897 items are ranked")])
def test_where_all_items_are_ranked_that_is_said(ranked: int, said: str) -> None:
    results = make_results()
    results.protocols[0].n_ranked = ranked
    assert any(line.startswith(said) for line in how_to_read(results))


def test_a_quick_run_has_nothing_to_say_but_whose_table_it_is() -> None:
    quick = make_quick_results()
    assert all("none of our models" in line for line in how_to_read(quick))
    quick.protocols[0].models[0].metrics["ndcg@10"] = Estimate(value=0.1)
    assert "None" not in " ".join(how_to_read(quick))


def test_the_decay_that_validation_chose_stands_beside_the_best_on_the_test() -> None:
    results = make_results()
    model = results.protocols[0].models[3]
    model.settings = {"decay_days": 60.0}
    figures = {14.0: (0.05, 0.064), 60.0: (0.0586, 0.0561), 90.0: (0.055, 0.05)}
    model.sensitivity = [
        Sensitivity(settings={"decay_days": days}, validation=v, test=t) for days, (v, t) in figures.items()
    ]
    said = plain(" ".join(how_to_read(results)))
    assert "with what validation chose (decay days 60) reaches 0.0561 NDCG@10" in said
    assert "the best of 3 settings on the test (decay days 14) 0.0640." in said
    model.settings = {"decay_days": 14.0}
    assert "and no other of 3 settings more." in " ".join(how_to_read(results))


def test_blockbusters_are_explained_beside_the_headline_and_not_in_it() -> None:
    results = make_results("Shop")
    others = comparison(difference=0.0335, half=0.02)
    part = Slice(
        by=BLOCKBUSTERS, level="all other items", n=381, comparisons=[others], interaction=interaction(0.05, 0.02)
    )
    results.protocols[0].slices.append(part)
    found = verdict(results)
    assert "%] outside the blockbusters, at 2.4 encoder-seconds" in plain(found.sentence)
    assert "outside the blockbusters (items that over 5 % of queries ask for), 381 queries" in plain(found.details[0])
