"""The study of feature families where the truth is planted: what carries, what is noise, and what needs another."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from llmrec.config import EvaluationConfig, RunConfig
from llmrec.config.features import SelectionConfig
from llmrec.evaluation.ablation.family_fits import probabilities
from llmrec.evaluation.ablation.family_rows import SplitRows, StudyRows
from llmrec.evaluation.ablation.family_study import members, study
from llmrec.evaluation.records.families import FamilyStudy
from llmrec.features.families.columns import FeatureColumn

CONFIG = EvaluationConfig(bootstrap=200)
WIDTHS = {"text_match": 2, "user_side": 1, "item_side": 1, "noise_a": 6, "noise_b": 6}
COLUMNS = tuple(FeatureColumn(f"{f}_{k}", f) for f, width in WIDTHS.items() for k in range(width))


def part(n: int, seed: int) -> SplitRows:
    """Clicks follow `text_match`, and the product of `user_side` and `item_side`: neither of those two alone."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, len(COLUMNS))).astype(np.float32)
    logit = 1.5 * values[:, 0] + 1.5 * np.sign(values[:, 2] * values[:, 3])
    return SplitRows(values, rng.random(n) < 1 / (1 + np.exp(-logit)), rng.integers(80, size=n))


@pytest.fixture(scope="module")
def rows() -> StudyRows:
    return StudyRows(COLUMNS, part(2_500, 0), part(600, 1), part(900, 2))


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def studies(rows: StudyRows) -> list[FamilyStudy]:
    return study(rows, SelectionConfig(budget=8), CONFIG, 7, quiet)


def test_what_carries_is_worth_something_and_noise_is_not(studies: list[FamilyStudy]) -> None:
    for found, sign in zip(studies, (1, -1), strict=True):
        worth = {f.family: f.contribution for f in found.families}
        for family in ("text_match", "user_side", "item_side"):
            estimate = worth[family]
            assert estimate is not None and estimate.low is not None and estimate.high is not None
            assert min(sign * estimate.low, sign * estimate.high) > 0, (found.metric, family)
        for family in ("noise_a", "noise_b"):
            estimate = worth[family]
            assert estimate is not None and estimate.low is not None and estimate.high is not None
            assert min(sign * estimate.low, sign * estimate.high) <= 0, (found.metric, family)  # it may do harm


def test_alone_is_measured_with_the_familys_columns_alone(studies: list[FamilyStudy]) -> None:
    alone = {f.family: f.alone.value for f in studies[0].families if f.alone}
    assert alone["text_match"] > 0.7 > 0.57 > max(alone["user_side"], alone["item_side"], alone["noise_a"])


def test_two_families_that_need_each_other_are_found(studies: list[FamilyStudy]) -> None:
    strongest = max(studies[0].interactions, key=lambda i: i.effect.value)
    assert {strongest.first, strongest.second} == {"user_side", "item_side"}
    assert strongest.effect.low is not None and strongest.effect.low > 0


def test_a_second_copy_of_a_family_makes_up_for_it() -> None:
    columns = (*(c for c in COLUMNS if c.family != "noise_b"), FeatureColumn("again", "twin"))

    def doubled(of: SplitRows) -> SplitRows:
        kept = [k for k, c in enumerate(COLUMNS) if c.family != "noise_b"]
        return replace(of, values=np.concatenate([of.values[:, kept], of.values[:, :1]], axis=1))

    rows = StudyRows(columns, doubled(part(1_200, 0)), doubled(part(400, 1)), doubled(part(900, 2)))
    found = study(rows, SelectionConfig(), CONFIG, 7, quiet)[0]
    pair = next(i for i in found.interactions if {i.first, i.second} == {"text_match", "twin"})
    assert pair.effect.high is not None and pair.effect.high < 0


def test_a_budget_drops_the_noise_and_the_curve_says_what_it_costs(studies: list[FamilyStudy]) -> None:
    tight = {"text_match"}
    for found in studies:
        assert found.kept_by in ("f_score", "gradient_boosting") and found.budget == 8
        assert tight <= set(found.kept) and sum(map(len, found.kept.values())) <= 8
        assert [c.method for c in found.curves] == ["f_score", "gradient_boosting"]
        for curve in found.curves:
            assert curve.points[-1].x == len(COLUMNS) and [p.x for p in curve.points] == sorted(
                p.x for p in curve.points
            )
            assert curve.points[-1].y == pytest.approx(found.full.value if found.full else None)


def test_the_runs_own_method_is_used_where_it_selects() -> None:
    rows = StudyRows(COLUMNS, part(1_200, 0), part(400, 1), part(400, 2))
    selection = SelectionConfig(method="gradient_boosting", budget=1)
    found = study(rows, selection, EvaluationConfig(bootstrap=0), 7, quiet)[0]
    assert [c.method for c in found.curves] == [found.kept_by] == ["gradient_boosting"]
    assert found.kept == {"text_match": ["text_match_0"]} and found.curves[0].points[0].x == 1
    assert found.full is not None and found.full.low is None  # without resamples there are no intervals


def chosen(found: FamilyStudy) -> object:
    return found.kept, {frozenset((i.first, i.second)) for i in found.interactions}, [
        [p.x for p in c.points] for c in found.curves
    ]  # fmt: skip


def altered(rows: StudyRows, which: str, change: Callable[[SplitRows], SplitRows]) -> StudyRows:
    return replace(rows, **{which: change(getattr(rows, which))})


def test_no_test_row_is_fitted_on_or_chosen_by(rows: StudyRows, studies: list[FamilyStudy]) -> None:
    """Other test labels and values change figures and nothing else; other training labels do change the choices."""
    flipped = altered(rows, "test", lambda p: replace(p, click=~p.click, values=p.values[::-1].copy()))
    found = study(flipped, SelectionConfig(budget=8), CONFIG, 7, quiet)
    assert chosen(found[0]) == chosen(studies[0]) and found[0].full != studies[0].full
    every = np.arange(len(COLUMNS))
    held, test = probabilities(rows, every, 7)
    held_again, test_again = probabilities(flipped, every, 7)
    np.testing.assert_array_equal(held, held_again)
    np.testing.assert_allclose(test[::-1], test_again)
    shuffled = altered(rows, "fit", lambda p: replace(p, click=np.random.default_rng(0).permutation(p.click)))
    assert chosen(study(shuffled, SelectionConfig(budget=8), CONFIG, 7, quiet)[0]) != chosen(studies[0])


def test_without_columns_everybody_gets_the_rate(rows: StudyRows) -> None:
    held, test = probabilities(rows, np.zeros(0, np.int64), 7)
    assert (len(held), len(test)) == (600, 900)
    assert set(held) | set(test) == {rows.fit.click.mean()}


def test_groups_are_parts_of_at_least_two() -> None:
    found = members(["user_stars", "text_user_profile", "text_similarity", "item_age"])
    assert found["text*"] == ["text_user_profile", "text_similarity"] and found["item_age"] == ["item_age"]
    assert "text_user_*" not in found and "user_*" not in found
    assert "text*" not in members(["text_user_profile", "text_similarity"])


def test_progress_is_told() -> None:
    lines: list[str] = []
    study(
        StudyRows(COLUMNS, part(300, 0), part(100, 1), part(100, 2)),
        SelectionConfig(method="f_score"),
        EvaluationConfig(bootstrap=0),
        7,
        lines.append,
    )
    assert "feature families: left out, 5 of" in "\n".join(lines) and "selection by f_score" in lines[-1]


@pytest.mark.parametrize(("size", "asked", "expected"), [("quick", None, False), ("full", None, True),
                                                         ("full", False, False), ("quick", True, True)])  # fmt: skip
def test_the_switch_follows_the_size_unless_it_is_set(size: str, asked: bool | None, expected: bool) -> None:
    config = RunConfig.model_validate({"evaluation": {"size": size} | ({} if asked is None else {"families": asked})})
    assert config.evaluation.families is expected
