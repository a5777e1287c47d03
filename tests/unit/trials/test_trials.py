"""Allocation, drafts, guards, intervals and the report, on hand-made and on simulated experiments."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from llmrec.config import ServingConfig
from llmrec.config.serving.experiments import ExperimentConfig, GuardsConfig
from llmrec.exposures import ExposureLog, Said, ServedList
from llmrec.storage import Storage
from llmrec.trials.allocation import arm_of, shares
from llmrec.trials.analysis import analyse, verdict
from llmrec.trials.guard_rails import RecentRequests, starved
from llmrec.trials.sequences import Sequence, difference_sequence, mean_sequence
from llmrec.trials.team_draft import team_draft
from serve_app.trials.bundles import with_variants

HOUR = 3_600_000
TWO = ExperimentConfig.model_validate({"arms": {"old": {}, "new": {}}, "horizon_s": 3_600})


def test_allocation_is_stable_and_as_weighted_and_independent_of_other_names() -> None:
    three = ExperimentConfig.model_validate({"arms": {"a": {}, "b": {"weight": 2}, "c": {}}, "share": 0.5})
    assert shares(three) == {"a": 0.25, "b": 0.5, "c": 0.25}
    users = [f"用户{n}🙂" for n in range(8_000)]
    arms = Counter(arm_of("x", three, user) for user in users)
    for arm, share in {None: 0.5, "a": 0.125, "b": 0.25, "c": 0.125}.items():
        assert abs(arms[arm] / 8_000 - share) < 4 * np.sqrt(share * (1 - share) / 8_000)
    both = Counter((arm_of("x", TWO, user), arm_of("y", TWO, user)) for user in users)
    assert all(abs(n / 8_000 - 0.25) < 4 * np.sqrt(0.1875 / 8_000) for n in both.values())
    assert [arm_of("more_need", TWO, f"u{n}") for n in range(6)] == ["old", "old", "new", "new", "old", "old"]
    turned = TWO.model_copy(update={"arms": dict(reversed(TWO.arms.items()))})
    assert all(arm_of("x", TWO, user) == arm_of("x", turned, user) for user in users[:99])
    assert arm_of("x", TWO, "\ud800") in ("old", "new")


def test_a_draft_takes_from_both_in_turn_by_hand() -> None:
    class Heads:
        def random(self) -> float:
            return 0.0

    items, teams = team_draft("abcd", "bxay", 5, Heads())  # type: ignore[arg-type]
    # round 1: A takes a, B takes b; round 2: A takes c, B takes x; round 3: A takes d
    assert (items, teams) == (list("abcxd"), [0, 1, 0, 1, 0])
    assert team_draft("ab", "", 5, Heads()) == (["a", "b"], [0, 0])  # type: ignore[arg-type]
    assert team_draft("", "", 5, Heads()) == ([], [])  # type: ignore[arg-type]
    draw = np.random.default_rng(0)
    firsts = Counter(team_draft("ab", "ab", 2, draw)[1][0] for _ in range(2_000))
    assert abs(firsts[0] - 1_000) < 4 * np.sqrt(500)  # alike lists: credit is a coin's


def test_guards_break_when_they_say() -> None:
    guards = GuardsConfig(least=20, max_error_rate=0.1, max_p95_ms=100, min_feedback_rate=0.2)
    recent = RecentRequests(guards)
    for n in range(19):
        recent.seen(0.05, n < 3)
    assert recent.broken() is None  # too little was seen
    recent.seen(0.05, False)
    assert recent.broken() == "error rate 0.150 of the last 20 requests, at most 0.1"
    for _ in range(20):
        recent.seen(0.05, False)
    assert recent.broken() is None
    recent.seen(9, False)
    recent.seen(9, False)
    assert "p95" in (recent.broken() or "")
    assert (
        starved(guards, 19, 0) is None and starved(guards, 20, 4) is None and "0.150" in (starved(guards, 20, 3) or "")
    )


def test_sequences_by_hand_and_with_too_little() -> None:
    values = np.tile([0.0, 1.0], 200)
    found = mean_sequence(values, 0.05)
    rho2 = (-2 * np.log(0.05) + np.log(-2 * np.log(0.05) + 1)) / 1000
    half = 0.5 * np.sqrt((400 * rho2 + 1) / (400**2 * rho2) * np.log((400 * rho2 + 1) / 0.05**2))
    assert found.value == 0.5 and found.high == pytest.approx(0.5 + half)
    assert mean_sequence(values[:99], 0.05).low is None
    few = difference_sequence(values, np.arange(400) < 399, 0.5, 0.05)
    assert few.low is None and verdict(few, 0.1) == "cannot tell"


@pytest.mark.parametrize(("share", "rate"), [(0.5, 0.3), (0.2, 0.05)])
def test_looking_all_the_time_does_not_make_false_alarms_and_finds_what_is_there(share: float, rate: float) -> None:
    """Under the null at 40 looks fewer than 5 in 100 cry; a fixed-size interval cries far more often."""
    draw, alarms, fixed, found = np.random.default_rng(0), 0, 0, 0
    for _ in range(150):
        treated = draw.random(4_000) < share
        null, real = (draw.random(4_000) < rate + lift * treated for lift in (0, 0.1))
        looks = range(400, 4_001, 90)
        alarms += any(_cries(difference_sequence(null[:n].astype(float), treated[:n], share, 0.05)) for n in looks)
        fixed += any(_fixed(null[:n].astype(float), treated[:n]) for n in looks)
        found += verdict(difference_sequence(real.astype(float), treated, share, 0.05), 0) == "better"
    assert alarms <= 11 and fixed > 20 and found > 140


def _cries(found: Sequence) -> bool:
    return verdict(found, 0) != "cannot tell"


def _fixed(outcome: np.ndarray, treated: np.ndarray) -> bool:
    one, other = outcome[treated], outcome[~treated]
    return bool(abs(one.mean() - other.mean()) > 1.96 * np.sqrt(one.var() / len(one) + other.var() / len(other)))


def test_verdicts() -> None:
    assert [verdict(Sequence(0, low, high, 500), 0.05) for low, high in
            ((-0.04, 0.04), (0.01, 0.2), (-0.2, -0.01), (-0.2, 0.2))] == [
        "no difference", "better", "worse", "cannot tell"]  # fmt: skip


def log_of(tmp_path: Path, rates: dict[str, float], teams: bool = False, n: int = 900) -> ExposureLog:
    """Users with two lists each, one of which counts after the horizon; feedback by the arm's (or team's) rate."""
    log, draw = ExposureLog(str(tmp_path / "log")), np.random.default_rng(0)
    lists, said = list[ServedList](), list[Said]()
    for user in range(n):
        arm = None if teams else arm_of("t", TWO, f"u{user}")
        for k, time in enumerate((user, user + HOUR)):
            name = f"{user}-{k}"
            told = {"teams": ("old", "new") if draw.random() < 0.5 else ("new", "old")} if teams else {}
            lists.append(ServedList(name, f"u{user}", time, "b", ("x", "y"), experiment="t", arm=arm, **told))  # type: ignore[arg-type]
            own = lists[-1].teams or (arm or "", "none")
            said += [Said(name, item, "click", time + 5) for item, whose in zip("xy", own, strict=True)
                     if draw.random() < rates.get(whose, 0) or k == 1]  # fmt: skip
    log.append(lists, said)
    log.join_said(HOUR)
    return log


def test_a_report_tells_arms_differences_and_a_verdict(tmp_path: Path) -> None:
    log = log_of(tmp_path, {"old": 0.2, "new": 0.5})
    early = analyse("t", TWO, log, 3_600, now=HOUR)
    assert early["settled_users"] == 0 and early["comparisons"]["new"]["verdict"] == "cannot tell"
    found = analyse("t", TWO, log, 3_600, now=3 * HOUR)
    assert found["users"] == found["settled_users"] == 900
    assert found["arms"]["old"]["rate_per_user"] == pytest.approx(0.2, abs=0.06)  # later lists do not count
    assert found["arms"]["old"]["lists"] == found["arms"]["old"]["users"] == found["sample_ratio"]["users"]["old"]
    told = found["comparisons"]["new"]
    assert told["verdict"] == "better" and told["low"] < 0.3 < told["high"] and found["stopped"] == {}
    assert not found["sample_ratio"]["mismatch"]


def test_a_ratio_that_chance_does_not_make_spoils_the_verdict(tmp_path: Path) -> None:
    log = log_of(tmp_path, {"old": 0.1, "new": 0.6})
    uneven = TWO.model_copy(update={"arms": {"old": TWO.arms["old"].model_copy(update={"weight": 2.0}),
        "new": TWO.arms["new"]}})  # fmt: skip
    found = analyse("t", uneven, log, 3_600, now=3 * HOUR)
    assert found["sample_ratio"]["mismatch"] and found["comparisons"]["new"]["verdict"] == "cannot tell"


def test_what_comes_after_an_arm_was_stopped_does_not_count(tmp_path: Path) -> None:
    log = log_of(tmp_path, {"old": 0.2, "new": 0.2})
    log.stop("t", "new", "error rate", 500)
    log.stop("t", "new", "later", 700)
    found = analyse("t", TWO, log, 3_600, now=3 * HOUR)
    assert found["stopped"] == {"new": "error rate"} and found["comparisons"]["new"]["users"] == 500
    assert sum(found["sample_ratio"]["users"].values()) == 500


def test_interleaving_tells_which_team_wins(tmp_path: Path) -> None:
    both = TWO.model_copy(update={"design": "interleaving"})
    log = log_of(tmp_path, {"old": 0.2, "new": 0.5}, teams=True)
    told = analyse("t", both, log, 3_600, now=3 * HOUR)["comparisons"]["new"]
    expected = 0.5 * 0.8 - 0.2 * 0.5  # only the new one clicked, less only the old one
    assert told["verdict"] == "better" and told["low"] < expected < told["high"]
    assert told["difference"] == pytest.approx(expected, abs=0.07)


def test_the_control_is_the_first_arm_or_the_one_that_is_named(tmp_path: Path) -> None:
    assert TWO.control == "old" and TWO.others == ("new",)
    named = ExperimentConfig.model_validate({"arms": {"a": {}, "b": {}, "c": {}}, "control": "b"})
    assert named.control == "b" and named.others == ("a", "c")
    assert ExperimentConfig.model_validate(named.model_dump()) == named
    with pytest.raises(ValidationError, match=r"control: found 'd', expected one of the arms a, b"):
        ExperimentConfig.model_validate({"arms": {"a": {}, "b": {}}, "control": "d"})


def test_arms_are_named_by_variant_and_become_bundles_of_the_served_run(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for name, variant, examples in (("t", "text", "e"), ("n", "no_text", "e"), ("o", "no_text", "other")):
        parents = {"examples": examples, "models": name}
        with storage.build("bundle", name, module="m", config={}, parents=parents) as writer:
            writer.info["variant"] = variant
    arms = {"words": {"variant": "text"}, "none": {"variant": "no_text", "weight": 2.0}, "as it is": {"need": 0.5}}
    serving = ServingConfig.model_validate(
        {"live": {"enabled": True}, "exposures": {"enabled": True}, "experiments": {"worth": {"arms": arms}}}
    )
    found = with_variants(storage, "t", serving).experiments["worth"]
    assert {name: arm.bundle for name, arm in found.arms.items()} == {"words": "t", "none": "n", "as it is": None}
    assert found.arms["none"].weight == 2 and found.control == "words"
    with pytest.raises(ValueError, match="found no bundle of variant 'text' from the features of the served one, o"):
        with_variants(storage, "o", serving)
    with pytest.raises(ValidationError, match="expected one of them"):
        ExperimentConfig.model_validate({"arms": {"a": {"variant": "text", "bundle": "t"}, "b": {}}})
