"""Likes on a corpus whose tastes are in the words alone: our ranker with the text finds them, the rates cannot."""

import pytest
from sklearn.metrics import roc_auc_score

from llmrec.config.models import model_config
from llmrec.evaluation.evaluation_run import load_interactions
from llmrec.evaluation.labels.rankers import fit_and_ask
from llmrec.evaluation.labels.raters import RatedRows, rate
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.ranking.protocol_tables import make_splits
from llmrec.pipeline import Run
from llmrec.training.fit import load_context


@pytest.fixture(scope="module")
def auc(planted_run: Run) -> dict[str, float]:
    """Model -> AUC on the reviews of the test."""
    made, config = planted_run.artifacts, planted_run.config
    rated = RatedRows.of(make_splits(load_interactions(made["corpus"]), config, "temporal")[0], None, config.seed)
    (rates,) = rate(rated, ["rates"])
    found = {"rates": float(roc_auc_score(rated.likes.label, rates.predicted))}
    for variant in ("text", "no_text"):
        context = load_context(made["examples.test"], variant)
        rows = LabelRows.read(made["examples.test"], context, "like")
        logits, _ = fit_and_ask(
            model_config("ranker", {"name": "dcnv2", "batch_size": 102}), context, rows, config.seed
        )
        found[variant] = float(roc_auc_score(rows.test.click, logits))
    return found


def test_with_the_text_our_ranker_beats_the_rates_and_itself_without(auc: dict[str, float]) -> None:
    assert set(auc) == {"text", "no_text", "rates"}
    assert auc["text"] > auc["rates"] + 0.05 and auc["text"] > auc["no_text"] + 0.05, auc
