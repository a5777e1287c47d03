"""Estimates by hand-computed cases, against known values, and where nothing can be said."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories.bandit import Simulated

from jobs.offpolicy import offpolicy
from llmrec.config import RunConfig
from llmrec.exposures import ExposureLog, Feedback, Said, ServedList
from llmrec.offpolicy.estimate import NoSupportError, estimate
from llmrec.offpolicy.logged import LoggedSlots
from llmrec.offpolicy.served import Target, slots_of_log
from llmrec.offpolicy.tables import read_table, slots_of_table
from llmrec.storage import Storage

ROWS = np.arange(4)


def slots(reward: list[float], propensity: list[float], target: list[float], **more: object) -> LoggedSlots:
    n = np.arange(len(reward))
    own = {"user": n, "list": n, "slot": np.zeros_like(n)} | more
    return LoggedSlots(reward=np.array(reward), propensity=np.array(propensity), target=np.array(target), **own)  # type: ignore[arg-type]


def test_ips_and_snips_by_hand() -> None:
    found = estimate(slots([1, 0, 1, 0], [0.5, 0.5, 0.25, 0.5], [1.0, 0.0, 0.5, 0.5]))
    # weights 2, 0, 2, 1
    assert found.ips.value == pytest.approx((2 + 2) / 4)
    assert found.snips.value == pytest.approx((2 + 2) / 5)
    assert found.logged.value == 0.5 and found.dr is None
    assert found.difference.value == pytest.approx(0.5)
    assert (found.effective, found.mean_weight, found.largest_weight) == (pytest.approx(25 / 9), 1.25, 2)
    assert found.caution is not None and "3 lists' worth" in found.caution


def test_slots_below_count_with_the_weights_above_them() -> None:
    lists = {"user": np.array([0, 0, 1, 1]), "list": np.array([5, 5, 6, 6]), "slot": np.array([0, 1, 0, 1])}
    data = slots([0, 1, 1, 1], [0.5, 0.5, 0.5, 0.25], [1.0, 0.5, 0.5, 0.25], **lists)
    np.testing.assert_allclose(data.above(), [1, 2, 1, 1])
    found = estimate(data)
    assert found.ips.value == pytest.approx(((0 + 2) + (1 + 1)) / 2)
    assert found.logged.value == pytest.approx(1.5) and found.lists == 2
    # slot 0: weights 2, 1 with rewards 0, 1; slot 1: 2, 1 with rewards 1, 1
    assert found.snips.value == pytest.approx(1 / 3 + 3 / 3)


def test_the_doubly_robust_estimate_is_the_models_where_that_knows_everything() -> None:
    draw = np.random.default_rng(0)
    taken = draw.normal(size=(400, 2))
    reward = taken @ [2.0, -1.0] + 3
    propensity = np.full(400, 0.5)
    target = draw.choice([0.0, 1.0], 400)
    intended = taken + 1
    data = slots(reward.tolist(), propensity.tolist(), target.tolist(), taken=taken, intended=intended)
    found = estimate(data)
    assert found.dr is not None and found.dr.value == pytest.approx(np.mean(intended @ [2.0, -1.0] + 3), abs=0.03)
    assert found.dr.se is not None and found.ips.se is not None and found.dr.se < 0.6 * found.ips.se


def test_users_who_repeat_themselves_make_intervals_wider() -> None:
    draw = np.random.default_rng(1)
    reward = np.repeat(draw.integers(0, 2, 50), 40).astype(float)
    ones = [1.0] * 2000
    alone, together = (
        estimate(slots(reward.tolist(), ones, ones, user=user)).ips
        for user in (np.arange(2000), np.repeat(np.arange(50), 40))
    )
    assert alone.se is not None and together.se is not None
    assert together.se / alone.se == pytest.approx(np.sqrt(40), rel=0.05) and together.n == 50


def test_what_was_never_done_is_refused() -> None:
    n = 2_000
    draw = np.random.default_rng(0)
    shown = draw.choice(3, n)  # the fourth action never
    target = np.array([0.1, 0.1, 0.1, 0.7])
    with pytest.raises(NoSupportError, match=r"average 0\.\d+, expected 1"):
        estimate(slots(draw.integers(0, 2, n).tolist(), [1 / 3] * n, target[shown].tolist()))
    with pytest.raises(NoSupportError, match=r"average 0\.000"):
        estimate(slots([1.0] * 9, [0.5] * 9, [0.0] * 9))
    table = pd.DataFrame({"action": shown, "propensity": 1 / 3, "reward": draw.integers(0, 2, n)})
    other = pd.DataFrame({"action": range(4), "probability": target})
    with pytest.raises(NoSupportError, match=r"70\.0% of what it does is in the log not once"):
        estimate(slots_of_table(table, other))


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [("propensity", [0.5, 0.0], "1 rows with propensity 0"), ("propensity", [0.5, 1.5], "found 1.5"),
     ("target", [0.5, np.nan], "target of row 1: found nan"), ("reward", [1.0, np.inf], "reward of row 1: found inf")],
)  # fmt: skip
def test_rows_that_say_nothing_are_named(name: str, values: list[float], told: str) -> None:
    rows = {"reward": [1.0, 1.0], "propensity": [0.5, 0.5], "target": [0.5, 0.5]} | {name: values}
    with pytest.raises(ValueError, match=told):
        slots(**rows)
    with pytest.raises(ValueError, match="found no slot"):
        slots([], [], [])


def test_a_table_becomes_slots() -> None:
    table = pd.DataFrame({
        "action": ["a", "b", "a", "c"], "position": [1, 1, 2, 2], "propensity": 0.5, "reward": [1, 0, 1, 0],
        "device": ["phone", None, "web", "web"], "age": [1.0, 2.0, 3.0, 4.0],
    })  # fmt: skip
    data = slots_of_table(table, "uniform")
    np.testing.assert_allclose(data.target, 1 / 3)
    assert data.unseen == pytest.approx(1 / 3) and data.taken is not None and data.intended is not None
    np.testing.assert_allclose(data.intended[:, -4:].sum(axis=1), 1)
    wanted = pd.DataFrame({"action": ["a", "b", "a"], "position": [1, 1, 2], "probability": [0.9, 0.1, 1.0]})
    np.testing.assert_allclose(slots_of_table(table, wanted).target, [0.9, 0.1, 1.0, 0.0])
    np.testing.assert_allclose(slots_of_table(table.assign(target=0.25), None).target, 0.25)


@pytest.mark.parametrize(
    ("change", "target", "told"),
    [({"reward": ["x", "1", "1", "1"]}, "uniform", "reward of row 0: found 'x'"), ({}, None, "neither --target"),
     ({}, pd.DataFrame({"action": ["a"], "probability": [0.4]}), "add up to 0.4000"),
     ({}, pd.DataFrame({"action": ["a"]}), "no column probability"), ({}, "greedy", "expected `uniform`"),
     ({}, pd.DataFrame({"action": ["a"], "position": [1], "probability": [1.0]}), "nothing of position 2")],
)  # fmt: skip
def test_tables_that_cannot_be_read_say_why(change: dict[str, object], target: object, told: str) -> None:
    table = {"action": list("abac"), "position": [1, 1, 2, 2], "propensity": 0.5, "reward": [1, 0, 1, 0]}
    with pytest.raises(ValueError, match=told):
        slots_of_table(pd.DataFrame(table | change), target)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="found no column propensity"):
        slots_of_table(pd.DataFrame({"action": [1], "reward": [1]}), "uniform")


def served(name: str, **more: object) -> ServedList:
    told = {"policy": "epsilon", "rate": 0.5, "propensities": (0.75, 0.25), "shares": (0.5, 0.5), "best": (True, False),
            "terms": ("one",), "contexts": np.ones((3, 2, 1), np.float32)} | more  # fmt: skip
    return ServedList(name, f"u{name}", 1_000, "bundle", ("x", "y"), **told)  # type: ignore[arg-type]


def test_a_servers_log_becomes_slots(tmp_path) -> None:  # type: ignore[no-untyped-def]
    log = ExposureLog(str(tmp_path / "log"))
    plain = {"policy": None, "propensities": (), "shares": (), "best": (), "contexts": None}
    log.append([served("1"), served("2", **plain), served("3")], [Said("3", "y", "click", 1_500)])
    log.join_said(1_000)
    assert log.feedback() == [Feedback(1, 3, 1, "click", 1_500)]
    data = slots_of_log(log, Target.parse("rate:0.2"), 2)
    np.testing.assert_allclose(data.target, [0.9, 0.1] * 2)
    np.testing.assert_allclose(data.reward, [0, 0, 0, 1])
    assert data.list.tolist() == [1, 1, 3, 3]
    np.testing.assert_allclose(slots_of_log(log, Target.parse("greedy"), 1).target, [1, 1])
    log.append([served("4", rate=0.0)])
    with pytest.raises(NoSupportError, match="list 4 was drawn at rate 0"):
        slots_of_log(log, Target.parse("rate:0.2"), 1)
    assert len(slots_of_log(log, Target.parse("rate:0.2"), 1, min_rate=0.1).list) == 2
    log.append([served("5", policy="linucb", rate=1.0)])
    with pytest.raises(NoSupportError, match="linucb at rate 1"):
        slots_of_log(log, Target.parse("greedy"), 1, min_rate=0.1)
    for wrong in ("best", "rate:2", "rate:x", "greedy:1"):
        with pytest.raises(ValueError, match="expected `greedy`"):
            Target.parse(wrong)


@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
def test_a_few_simulated_logs_have_the_truth_within_their_intervals(policy: str) -> None:
    world = Simulated(policy, rate=0.5, k=2, n_candidates=6)
    truth, missed = world.value(0.0, 1_500), 0
    for seed in range(3):
        found = estimate(world.log(500, seed, 0.0))
        assert found.dr is not None
        intervals = (found.ips, found.snips, found.dr)
        missed += sum(not (e.low <= truth <= e.high) for e in intervals if e.low is not None and e.high is not None)
    assert missed <= 3  # of 9, the truth itself being simulated


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["epsilon", "thompson", "linucb"])
@pytest.mark.parametrize("rate", [0.0, 0.8])
def test_intervals_cover_the_truth_in_ninety_of_a_hundred_logs(policy: str, rate: float) -> None:
    world = Simulated(policy, rate=0.5, k=2, n_candidates=8)
    truth, covered = world.value(rate, 40_000), dict.fromkeys(("ips", "snips", "dr"), 0)
    for seed in range(100):
        found = estimate(world.log(2_000, seed, rate))
        for name in covered:
            interval = getattr(found, name)
            covered[name] += interval.low <= truth <= interval.high
    assert min(covered.values()) >= 90, covered


def test_a_table_without_rows_is_told_by_name(tmp_path: Path) -> None:
    for content in ("", "action,propensity,reward\n"):
        (tmp_path / "log.csv").write_text(content)
        with pytest.raises(ValueError, match=r"log\.csv: found no row, expected logged actions below a header"):
            read_table(str(tmp_path / "log.csv"))


def test_what_chooses_lists_of_the_log_is_refused_beside_a_table() -> None:
    args = Namespace(table="log.csv", target="uniform", depth=3, kind=["click"], policy=None, min_rate=0.0)
    with pytest.raises(ValueError, match=r"--depth, --kind: choose lists of the server's log; of --table every row"):
        offpolicy(RunConfig(), Storage("nowhere"), args)
