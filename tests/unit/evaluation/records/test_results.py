"""The schema of results.json refuses what would mislead a reader."""

import json

import pytest
from factories.results import comparison, estimate, make_quick_results, make_results
from pydantic import ValidationError

from llmrec.evaluation.records.estimates import Comparison, Estimate, lower_is_better
from llmrec.evaluation.records.results import Headline, Results
from llmrec.evaluation.records.tables import ModelResult


@pytest.mark.parametrize("make", [make_results, make_quick_results])
def test_json_holds_everything(make):
    results = make()
    assert Results.model_validate_json(results.to_json()) == results
    assert json.loads(results.to_json())["schema_version"] == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_figure_is_finite(bad):
    with pytest.raises(ValidationError, match="finite"):
        Estimate(value=bad)


@pytest.mark.parametrize("ends", [{"low": 0.1}, {"high": 0.1}, {"low": 0.2, "high": 0.1}])
def test_an_interval_has_two_ends_in_order(ends):
    with pytest.raises(ValidationError, match="interval"):
        Estimate(value=0.1, **ends)


@pytest.mark.parametrize(
    ("metric", "low", "high", "allowed"),
    [
        ("ndcg@10", 0.01, 0.02, {"better"}),
        ("ndcg@10", -0.02, -0.01, {"worse"}),
        ("ndcg@10", -0.01, 0.02, set()),
        ("ndcg@10", 0.0, 0.02, set()),
        ("rmse", -0.02, -0.01, {"better"}),
        ("rmse", 0.01, 0.02, {"worse"}),
        ("gini@10", 0.01, 0.02, {"worse"}),
    ],
)
def test_a_verdict_needs_its_interval(metric, low, high, allowed):
    difference = Estimate(value=(low + high) / 2, low=low, high=high)
    for verdict in ("better", "worse", "cannot tell"):
        fields = {"model": "a", "against": "b", "metric": metric, "difference": difference, "verdict": verdict}
        if verdict in allowed | {"cannot tell"}:
            assert Comparison(**fields).verdict == verdict
        else:
            with pytest.raises(ValidationError, match="excludes zero"):
                Comparison(**fields)


def test_better_without_an_interval_is_refused():
    with pytest.raises(ValidationError, match="excludes zero"):
        Comparison(model="a", against="b", metric="auc", difference=Estimate(value=0.1), verdict="better")


@pytest.mark.parametrize(("metric", "lower"), [("rmse", True), ("ece", True), ("ndcg@10", False), ("auc", False)])
def test_direction_of_a_metric(metric, lower):
    assert lower_is_better(metric) is lower


def _changed(**update: object) -> Results:
    """The fixture with parts replaced, validated anew."""
    return Results.model_validate(make_results().model_dump() | update)


def test_tables_named_twice_are_refused():
    protocols = make_results().model_dump()["protocols"]
    with pytest.raises(ValidationError, match="tables named twice: \\['temporal'\\]"):
        _changed(protocols=[protocols[0], protocols[0]])


def test_headline_of_an_unknown_table_is_refused():
    headline = Headline(protocol="frozen", comparison=comparison()).model_dump()
    with pytest.raises(ValidationError, match="'frozen'"):
        _changed(headline=headline)


def test_models_named_twice_or_unknown_are_refused():
    protocol = make_quick_results().protocols[0].model_dump()
    twice = ModelResult(name="popularity", kind="baseline").model_dump()
    with pytest.raises(ValidationError, match="named twice: \\['popularity'\\]"):
        _changed(protocols=[protocol | {"models": [*protocol["models"], twice]}])
    with pytest.raises(ValidationError, match="not among its models"):
        _changed(protocols=[protocol | {"comparisons": [comparison("popularity", "ghost").model_dump()]}])
    lost = {"by": "item", "level": "new", "n": 1, "models": {"ghost": {"ndcg@10": estimate(0.1).model_dump()}}}
    with pytest.raises(ValidationError, match="ghost"):
        _changed(protocols=[protocol | {"slices": [lost]}])


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs"):
        _changed(leek_gaps=[])
