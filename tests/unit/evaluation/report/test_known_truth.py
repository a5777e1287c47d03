"""Where the corpus is generated, the report sets the estimate beside the truth."""

from llmrec.evaluation.report.verdict import known_truth, verdict
from llmrec.variants import ORACLE, ORACLE_NO_TEXT
from tests.factories.results import make_results, model


def test_the_estimate_stands_beside_the_worth_known_by_construction() -> None:
    found = make_results()
    assert known_truth(found) == ""
    table = found.protocols[0]
    ceilings = [model(ORACLE, "Oracle", "oracle", 0.2, 0.5), model(ORACLE_NO_TEXT, "Wordless", "oracle", 0.1, 0.5)]
    table = table.model_copy(update={"models": [*table.models, *ceilings]})
    found = found.model_copy(update={"protocols": [table, *found.protocols[1:]]})
    said = known_truth(found)
    assert "the oracle, who knows all but the draw, reaches" in said
    assert "7.4" in said, "the estimate of .0074 is 7.4 % of a worth of .1"
    assert said in verdict(found).details
