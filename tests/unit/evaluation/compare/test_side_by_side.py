"""Runs side by side: recomputed from their files alone, refused where they answer different questions."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories.results import make_results

from jobs.compare import main
from llmrec.evaluation.compare.comparable import NotComparable
from llmrec.evaluation.compare.side_by_side import compare_runs
from llmrec.evaluation.compare.stored_run import load_run
from llmrec.evaluation.records.results import Results
from llmrec.files import write_parquet
from llmrec.storage import Storage

N_QUERIES = 60
ITEMS = [f"i{n}" for n in range(8)]


def results(run_id: str, **protocol: object) -> Results:
    """The fixture with only the models that these runs have lists of."""
    data = make_results().model_dump()
    kept = data["protocols"][0] | {"comparisons": [], "slices": []} | protocol
    kept["models"] = [m | {"seeds": 1} for m in kept["models"] if m["name"] in ("text", "no_text")]
    data |= {"protocols": [kept], "headline": None, "families": [], "controls": [], "leak_gaps": []}
    data["run"] |= {"id": run_id, "bootstrap": 200}
    return Results.model_validate(data)


def target(query: int) -> str:
    return ITEMS[query % len(ITEMS)]


def truth(n: int = N_QUERIES, shift: int = 0) -> pa.Table:
    """One target a query; three queries a user."""
    q = list(range(n))
    return pa.table({"query_id": q, "user_id": [f"u{i // 3}" for i in q], "item_id": [target(i + shift) for i in q],
                     "timestamp": [1000 + i for i in q]})  # fmt: skip


def lists(rank_of_target: list[int]) -> pa.Table:
    """Each query's list of all items with its target at the given rank."""
    rows = []
    for query, rank in enumerate(rank_of_target):
        others = [i for i in ITEMS if i != target(query)]
        for place, item in enumerate([*others[: rank - 1], target(query), *others[rank - 1 :]]):
            rows.append(
                {"query_id": query, "user_id": f"u{query // 3}", "item_id": item, "rank": place + 1, "score": 0.0}
            )
    return pa.Table.from_pylist(rows[::-1])  # order within the file must not matter


def save(folder, run: Results, ranks: list[int], truth_table: pa.Table | None = None) -> str:
    write_parquet(f"{folder}/truth.parquet", truth() if truth_table is None else truth_table)
    write_parquet(f"{folder}/recommendations/text.parquet", lists(ranks))
    write_parquet(f"{folder}/recommendations/no_text.parquet", lists([5] * N_QUERIES))
    (folder / "results.json").write_text(run.to_json(), encoding="utf-8")
    return str(folder)


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(str(tmp_path / "artifacts"))


@pytest.fixture
def pair(tmp_path, storage):
    """A run whose targets stand at rank 4 and one that has most of them at rank 2."""
    base = save(tmp_path / "a", results("aaaa"), [4] * N_QUERIES)
    better = save(tmp_path / "b", results("bbbb"), [2, 2, 3] * (N_QUERIES // 3))
    return [load_run(base, storage), load_run(better, storage)]


def test_figures_are_recomputed_by_hand(pair):
    found = compare_runs(pair, ["ndcg@3", "recall@3", "mrr@10"], ["text"])
    first, second = (found.estimates[run.title]["text"] for run in pair)
    assert found.n_queries == N_QUERIES
    assert (first["ndcg@3"].value, first["recall@3"].value) == (0, 0)
    assert first["mrr@10"].value == pytest.approx(1 / 4, abs=1e-12)
    assert second["ndcg@3"].value == pytest.approx((2 / math.log2(3) + 1 / math.log2(4)) / 3, abs=1e-12)
    assert second["recall@3"].value == 1


def test_the_same_lists_do_not_differ_and_the_order_of_runs_turns_the_sign(pair):
    found = compare_runs(pair, ["mrr@10"])
    text, no_text = found.comparisons
    assert (text.model, text.against) == (f"{pair[1].title}:text", f"{pair[0].title}:text")
    assert text.difference.value == pytest.approx((2 / 2 + 1 / 3) / 3 - 1 / 4, abs=1e-12)
    assert (no_text.verdict, no_text.difference.value) == ("cannot tell", 0.0)
    backwards = compare_runs(pair[::-1], ["mrr@10"], ["text"])
    assert backwards.comparisons[0].difference.value == -text.difference.value


def test_a_difference_that_varies_over_users_has_an_interval(tmp_path, storage):
    gains = [1 if user % 4 else 4 for user in range(N_QUERIES // 3) for _ in range(3)]
    base = load_run(save(tmp_path / "a", results("aaaa"), [4] * N_QUERIES), storage)
    better = load_run(save(tmp_path / "b", results("bbbb"), gains), storage)
    worse = load_run(save(tmp_path / "c", results("cccc"), [8] * (N_QUERIES - 1) + [7]), storage)
    up, down = compare_runs([base, better, worse], ["mrr@10"], ["text"]).comparisons
    assert (up.verdict, down.verdict) == ("better", "worse")
    assert up.difference.low is not None and up.difference.high is not None
    assert 0 < up.difference.low < 0.75 * 0.75 < up.difference.high
    assert up.difference.n == N_QUERIES // 3


def test_several_targets_a_query(tmp_path, storage):
    both = pa.concat_tables([truth(), truth(shift=1)])
    runs = [load_run(save(tmp_path / n, results(n * 4), [1] * N_QUERIES, both), storage) for n in "ab"]
    recall = compare_runs(runs, ["recall@1"], ["text"]).estimates[runs[0].title]["text"]["recall@1"]
    assert recall.value == 0.5


def test_ids_may_be_dictionary_encoded(tmp_path, storage):
    folder = tmp_path / "a"
    run = load_run(save(folder, results("aaaa"), [2] * N_QUERIES), storage)
    plain = run.values("text", "mrr@10")
    for name in ("truth", "recommendations/text"):
        table = pq.read_table(folder / f"{name}.parquet")
        table = table.set_column(1, "user_id", table["user_id"].dictionary_encode())
        place = table.column_names.index("item_id")
        write_parquet(
            f"{folder}/{name}.parquet", table.set_column(place, "item_id", table["item_id"].dictionary_encode())
        )
    assert (load_run(str(folder), storage).values("text", "mrr@10") == plain).all()


def test_seeds_are_averaged_within_a_query(tmp_path, storage):
    run = results("aaaa")
    run.protocols[0].models[0].seeds = 2
    folder = save(tmp_path / "a", run, [1] * N_QUERIES)
    write_parquet(f"{folder}/recommendations/text.seed2.parquet", lists([4] * N_QUERIES))
    assert (load_run(folder, storage).values("text", "mrr@10") == (1 + 1 / 4) / 2).all()


def test_another_protocol_is_read_from_its_own_folder(tmp_path, storage):
    run = results("aaaa")
    run.protocols.append(run.protocols[0].model_copy(update={"name": "frozen"}))
    folder = save(tmp_path / "a", run, [1] * N_QUERIES)
    save(tmp_path / "a" / "frozen", run, [2] * N_QUERIES)
    assert load_run(folder, storage).values("text", "mrr@10").mean() == 1
    assert load_run(folder, storage, "frozen").values("text", "mrr@10").mean() == 1 / 2
    with pytest.raises(ValueError, match="no protocol 'random'; it has: temporal, frozen"):
        load_run(folder, storage, "random").values("text", "mrr@10")


def test_a_run_is_found_by_id_and_by_folder(tmp_path, storage):
    with storage.build("report", "0123456789abcdef", module="llmrec.evaluation", config={}, parents={}) as writer:
        write_parquet(writer.uri("truth.parquet"), truth())
        write_parquet(writer.uri("recommendations/text.parquet"), lists([1] * N_QUERIES))
        write_parquet(writer.uri("recommendations/no_text.parquet"), lists([2] * N_QUERIES))
        writer.write_json("results.json", results("whatever").model_dump())
    by_id = load_run("0123456789abcdef", storage)
    by_folder = load_run(f"{storage.root}/report/0123456789abcdef/", Storage(str(tmp_path / "elsewhere")))
    assert by_id.title == by_folder.title == "fixture@01234567"
    assert (by_folder.values("text", "mrr@5") == 1).all()
    with pytest.raises(ValueError, match="given twice"):
        compare_runs([by_id, by_folder])


def test_other_corpora_are_refused(tmp_path, storage, pair):
    other = results("cccc")
    other.portrait.n_reviews += 1
    run = load_run(save(tmp_path / "c", other, [1] * N_QUERIES), storage)
    with pytest.raises(NotComparable, match=r"different corpora: n_reviews 10261 and 10262"):
        compare_runs([pair[0], run])


def test_the_same_corpus_read_by_other_code_is_compared_with_a_note(tmp_path, storage, pair):
    other = results("cccc")
    other.run.corpus_id = "c1"
    run = load_run(save(tmp_path / "c", other, [1] * N_QUERIES), storage)
    assert "ids c0 and c1" in compare_runs([pair[0], run]).notes[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "frozen"}, "name 'temporal' and 'frozen'"),
        ({"t2": 5}, "t2 "),
        ({"information_set": "transductive"}, "information_set 'point_in_time' and 'transductive'"),
    ],
)
def test_other_protocols_are_refused(tmp_path, storage, pair, change, said):
    run = load_run(save(tmp_path / "c", results("cccc", **change), [1] * N_QUERIES), storage)
    with pytest.raises(NotComparable, match=f"different protocols: {said}"):
        compare_runs([pair[0], run])


def test_other_questions_are_refused(tmp_path, storage, pair):
    run = load_run(save(tmp_path / "c", results("cccc"), [1] * N_QUERIES, truth(N_QUERIES - 1)), storage)
    with pytest.raises(NotComparable, match=r"60 and 59 targets, 59 of them the same"):
        compare_runs([pair[0], run])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"models": ["ghost"]}, r"\['ghost'\] are not in every run; all of them have: text, no_text"),
        ({"metrics": ["coverage@10"]}, "expected one of a single list"),
        ({"metrics": ["ndcg"]}, "expected NAME@K"),
    ],
)
def test_unknown_models_and_metrics_are_refused(pair, arguments, said):
    with pytest.raises(ValueError, match=said):
        compare_runs(pair, **arguments)


def test_the_job_prints_a_table_and_one_json_line(tmp_path, capsys):
    folders = [save(tmp_path / n, results(n * 4), [r, 1, 2] * (N_QUERIES // 3)) for n, r in (("a", 4), ("b", 2))]
    assert main([*folders, "--metric", "mrr@10", "--model", "text"]) == 0
    out = capsys.readouterr().out
    line = json.loads(out.splitlines()[-1])
    assert line["ok"] and line["queries"] == N_QUERIES and line["protocol"] == "temporal"
    assert line["estimates"]["fixture@aaaa"]["text"]["mrr@10"]["value"] == pytest.approx((1 / 4 + 1 + 1 / 2) / 3)
    assert "fixture@bbbb" in out and "MRR@10" in out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "results.json").unlink(), "found neither manifest.json nor results.json"),
        (lambda folder: (folder / "results.json").write_text('{"schema_version": 99}'), "another version"),
        (lambda folder: (folder / "truth.parquet").unlink(), "no truth.parquet"),
        (lambda folder: (folder / "recommendations" / "text.parquet").unlink(), "no recommendations/text.parquet"),
    ],
)
def test_the_job_refuses_with_a_reason(tmp_path, capsys, spoil, said):
    folders = [save(tmp_path / n, results(n * 4), [1] * N_QUERIES) for n in "ab"]
    spoil(tmp_path / "b")
    assert main(folders) == 2
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not line["ok"] and said in line["error"]


def test_one_run_is_not_a_comparison(tmp_path, capsys):
    assert main([save(tmp_path / "a", results("aaaa"), [1] * N_QUERIES)]) == 2
    assert "expected at least two" in capsys.readouterr().err
