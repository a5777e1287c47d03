"""Likes on a corpus whose tastes are in the words alone: our ranker with the text finds them, the rates cannot."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from llmrec.evaluation.evaluation_run import load_interactions
from llmrec.evaluation.labels.rankers import our_likes
from llmrec.evaluation.labels.raters import LIKES, RatedRows, as_predicted, rate
from llmrec.evaluation.labels.rows import LabelRows
from llmrec.evaluation.labels.tables import TestRows as Asked
from llmrec.evaluation.ranking.protocol_tables import make_splits
from llmrec.pipeline import Run
from llmrec.training.fit import load_context


@pytest.fixture(scope="module")
def auc(planted_run: Run) -> dict[str, float]:
    """Model -> AUC on the reviews of the test."""
    made, config = planted_run.artifacts, planted_run.config
    data, examples = load_interactions(made["corpus"]), made["examples.test"]
    rows = RatedRows.of(make_splits(data, config, "temporal")[0], None, config.seed)
    contexts = {variant: load_context(examples, variant) for variant in ("text", "no_text")}
    bundle = SimpleNamespace(models=SimpleNamespace(models={"ranker": config.training.ranker}))
    asked, bundles = rows.likes, dict.fromkeys(contexts, bundle)
    mine = Asked.of(LabelRows.read(examples, contexts["text"], "like").test, data)  # row for row the corpus's
    for column in ("user", "item", "time", "label"):
        np.testing.assert_array_equal(getattr(mine, column), getattr(asked, column), err_msg=column)
    ours = our_likes(bundles, contexts, examples, asked, config.features.negatives, 1, config.seed)
    predicted = [*ours, *as_predicted(rate(rows, LIKES))]
    return {p.name: float(roc_auc_score(asked.label, p.probability)) for p in predicted}


def test_with_the_text_our_ranker_beats_the_rates_and_itself_without(auc: dict[str, float]) -> None:
    assert set(auc) == {"text", "no_text", "rates"}
    assert auc["text"] > auc["rates"] + 0.05 and auc["text"] > auc["no_text"] + 0.05, auc
