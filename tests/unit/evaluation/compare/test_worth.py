"""The table of what words were worth: rows from results, kept and written, and never by hand."""

import json
from pathlib import Path

import pytest
from factories.results import comparison, make_quick_results, make_results, model, plain

from jobs.worth import PAGE, ROWS, main
from llmrec.evaluation.compare.worth import joined, parse_rows, worth_of, written
from llmrec.evaluation.records.run import Core
from llmrec.evaluation.records.tables import Slice
from llmrec.evaluation.report.worth_table import BEGIN, END, markdown, with_table
from llmrec.variants import ORACLE, ORACLE_NO_TEXT

ROOT = Path(__file__).parents[4]


def test_a_row_holds_the_headline_and_what_it_is_read_with() -> None:
    row = worth_of(make_results("Shop"), "r0")
    assert (row.run, row.corpus, row.queries, row.seeds, row.metric) == ("fixture", "Shop", 1032, 3, "ndcg@10")
    assert (row.without, row.with_text, row.difference.value) == (0.0557, 0.0631, 0.0074)
    assert (row.verdict, row.baseline, row.baseline_value) == ("better", "Popularity, decayed", 0.0561)
    assert row.auc == (0.728, 0.742) and row.accuracy is None and row.kind == "real"


def test_the_truth_and_the_cut_of_a_corpus_stand_beside() -> None:
    results = make_results("Shop")
    results.protocols[0].models += [
        model(ORACLE, "Oracle", "oracle", 0.2, 0.5), model(ORACLE_NO_TEXT, "Wordless", "oracle", 0.1, 0.5),
    ]  # fmt: skip
    known = Slice(by="item at T2", level="known by then", n=900, comparisons=[comparison(difference=0.001)])
    results.protocols[0].slices.append(known)
    assert worth_of(results, "r0").not_born_later is None, "the corpus is not cored"
    results.portrait.core = Core(least_item=5, least_user=5, born=6, born_share=0.1, owed=0, owed_share=0)
    said = plain(markdown([worth_of(results, "r0")]))
    assert "known by construction: +0.1000; cored; items known at T2: +0.0010 [-0.0038, +0.0058]" in said
    assert "generated" in said


def test_a_run_without_both_variants_is_no_row() -> None:
    with pytest.raises(ValueError, match="run 'quick' has no headline"):
        worth_of(make_quick_results(), "r0")


def test_rows_are_kept_and_a_newer_one_takes_the_place_of_the_older() -> None:
    rows = [worth_of(make_results("Shop"), "old"), worth_of(make_results("Other"), "other")]
    assert parse_rows(written(rows)) == rows
    new = worth_of(make_results("Shop"), "new")
    assert [r.id for r in joined(rows, [new])] == ["new", "other"]


def test_the_table_has_as_many_cells_in_every_row() -> None:
    results = make_results("A | B")
    lines = markdown([worth_of(make_results("Shop"), "r0"), worth_of(results, "r1")]).splitlines()
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1 and "A \\| B" in lines[-1]


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    assert with_table(f"a\n{BEGIN}\nold\n{END}\nb", "new") == f"a\n{BEGIN}\nnew\n{END}\nb"
    with pytest.raises(ValueError, match="found no place for the table"):
        with_table(f"{END} {BEGIN}", "new")


def test_the_job_reads_a_report_and_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, rows, page = tmp_path / "run", tmp_path / "rows.jsonl", tmp_path / "page.md"
    run.mkdir()
    (run / "results.json").write_text(make_results("Shop").to_json())
    page.write_text(f"{BEGIN}\n{END}\n")
    paths = ["--rows", str(rows), "--page", str(page)]
    assert main([str(run), *paths]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == ["fixture"]
    first = page.read_text()
    assert "**better**" in first and main(paths) == 0 and page.read_text() == first
    assert main([str(tmp_path / "none"), *paths]) == 2 and page.read_text() == first


def test_the_page_in_docs_is_what_the_kept_rows_make() -> None:
    rows = parse_rows((ROOT / ROWS).read_text(encoding="utf-8"))
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert rows and with_table(page, markdown(rows)) == page, "run python -m jobs.worth"
