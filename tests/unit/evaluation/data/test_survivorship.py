"""Cores: found where they are, silent where they are not, and the queries that they decide."""

import numpy as np
from factories.results import make_results, plain

from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.slices import slices
from llmrec.evaluation.data.survivorship import core_of, owed, survivor_slices, without_owed
from llmrec.evaluation.records.run import Core
from llmrec.evaluation.report.verdict import survivors
from llmrec.features.asof.interactions import Interactions

T2 = 100


EVENTS = [(f"u{k % 6}", f"i{k // 6 % 4}", 4 * k) for k in range(24)]  # 24 pairs, to t = 92
LATE = [(f"u{k}", "late", T2 + k) for k in range(3)]


def made(events: list[tuple[str, str, int]]) -> Interactions:
    users, items, times = zip(*events, strict=True)
    return Interactions.from_arrays(users, items, np.array(times))


def corpus(single: bool) -> Interactions:
    """Old items and users all the time; item `late` born at T2; `single`: one item has one event, as in a shop."""
    return made([*EVENTS, *LATE, *([("u5", "new", T2 + 9)] if single else [])])


def test_a_core_is_found() -> None:
    found = core_of(corpus(single=False), T2)
    assert (found.least_item, found.least_user, found.born, found.least_born) == (3, 4, 1, 3)
    assert found.born_share == 1 and found.cored and (found.owed, found.owed_share) == (0, 0)


def test_a_shop_has_no_core() -> None:
    data = corpus(single=True)
    found = core_of(data, T2)
    assert (found.least_item, found.born, found.least_born) == (1, 2, 1)
    one_user = core_of(Interactions.from_arrays(["a", "b"], ["x", "x"], np.array([1, 2])), T2)
    assert one_user.least_user == 1


def test_parts_of_the_test_that_the_cut_decides() -> None:
    tail = [("u0", "late", T2), ("u1", "late", T2 + 1), ("v", "i0", T2 + 2), ("v", "few", T2 + 3)]
    data = made([*EVENTS, *tail, ("u0", "few", 3)])
    fold = protocols.temporal(data, 60, T2).test
    assert owed(fold).tolist() == [True, True, False, True]  # two were sure of a second event
    found = {(s.by, s.level): s.mask.tolist() for s in survivor_slices(fold)}
    assert found["item at T2", "known by then"] == [False, False, True, True]
    assert found["item at T2", "born later"] == [True, True, False, False]
    assert found["core", "owed no event"] == [False, False, True, False]
    core = core_of(data, T2)
    assert (core.born, core.owed, core.born_share, core.owed_share) == (1, 1, 0.5, 0.25)


def test_only_what_is_owed_is_left_out() -> None:
    split = protocols.temporal(corpus(single=False), 60, T2)
    assert len(without_owed(split).test.queries) == 0
    shop = protocols.temporal(corpus(single=True), 60, T2)
    items = [shop.test.data.item_ids[i] for i in without_owed(shop).test.queries.item]
    assert items == ["late", "late", "late", "new"]  # items are owed nothing: one of them has a single event
    some = [*EVENTS, *((f"u{k}", "old", 50 + k) for k in range(3)), ("u5", "old", T2 + 5)]
    mixed = protocols.temporal(made(some + LATE), 60, T2)
    kept = without_owed(mixed).test.queries
    assert len(mixed.test.queries) == 4 and len(kept) == 1
    assert kept.item.tolist() == [mixed.test.data.item_ids.index("old")]
    assert kept.event.tolist() == [int(np.flatnonzero(mixed.test.data.time == T2 + 5)[0])]


def test_lists_of_all_time_have_no_such_parts() -> None:
    fold = protocols.leave_last_out(corpus(single=False)).test
    assert survivor_slices(fold) == [] and slices(fold)


def core(least: int) -> Core:
    return Core(
        least_item=least, least_user=least, born=102, least_born=least, born_share=0.077, owed=6, owed_share=0.149
    )


def test_the_first_paragraph_says_so() -> None:
    results = make_results("Shop")
    assert survivors(results) == ""  # not measured
    results.portrait.core = core(1)
    assert survivors(results) == ""
    results.portrait.core = core(5)
    said = plain(survivors(results))
    assert "no item has fewer than 5 events" in said and "102 items first seen" in said and "22.6 %" in said
    assert "item_age" in said and "time_at_risk" in said


def test_the_headline_is_told_without_them() -> None:
    level = "known by then"
    results = make_results("Shop")
    results.portrait.core = core(5)
    table = results.table("temporal")
    assert table is not None
    one = table.slices[0].model_copy(update={"by": "item at T2", "level": level, "comparisons": [table.comparisons[0]]})
    table.slices.append(one)
    assert f"{level.capitalize()}: " in survivors(results)
