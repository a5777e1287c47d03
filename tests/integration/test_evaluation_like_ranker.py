"""Likes on a corpus whose tastes are in the words alone: our ranker with the text finds them, the rates cannot."""

import pytest
from llmrec.evaluation.labels.like_ranker import our_likes
from llmrec.evaluation.labels.stars import StarRows
from sklearn.metrics import roc_auc_score

from llmrec.evaluation.labels import likes
from llmrec.evaluation.stage import load_interactions, make_splits
from llmrec.pipeline import Run
from llmrec.training.stage import make_fold


@pytest.fixture(scope="module")
def auc(planted_run: Run) -> dict[str, float]:
    """Model -> AUC on the reviews of the test."""
    made, config = planted_run.artifacts, planted_run.config
    data, examples = likes.liked(load_interactions(made["corpus"])), made["examples.test"]
    rows = StarRows.of(make_splits(data, config, "temporal")[0])
    asked = likes.like_rows(data, rows)
    files = {variant: make_fold(config, examples, variant).file for variant in ("text", "no_text")}
    ours = our_likes(files, examples, asked.label, config.features.negatives, 1, config.seed)
    predicted = [*ours, *likes.like_models(data, rows, None, config.seed)]
    return {p.name: float(roc_auc_score(asked.label, p.probability)) for p in predicted}


def test_with_the_text_our_ranker_beats_the_rates_and_itself_without(auc: dict[str, float]) -> None:
    assert set(auc) == {"text", "no_text", "rates"}
    assert auc["text"] > auc["rates"] + 0.05 and auc["text"] > auc["no_text"] + 0.05, auc
