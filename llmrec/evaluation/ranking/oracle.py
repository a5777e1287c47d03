"""The built-in corpus's own choice probabilities, asked like any model: how good a list can be, and what words are
worth by construction."""

from collections.abc import Iterator

import numpy as np

from llmrec.config import SampleConfig
from llmrec.corpus.sample import SampleTruth, choice_probabilities, draw_truth
from llmrec.evaluation.data.folds import Split
from llmrec.evaluation.ranking.baselines import WithFallback
from llmrec.evaluation.ranking.evaluator import Answer, EvaluatedModel
from llmrec.features.asof.interactions import Interactions
from llmrec.models.base import Arrays, FitData, Floats, ModelInfo, Requests, Retriever
from llmrec.variants import ORACLE, ORACLE_NO_TEXT

_ANSWERS = {
    ORACLE: ("Oracle", "the generator's own choice probabilities at the query's time: it knows all but the draw"),
    ORACLE_NO_TEXT: ("Oracle, without words", "the same, but who looks for which quality, and what has it, is unknown"),
}


class Oracle(Retriever):
    """P(item | user, t) of the generator; `words` False: the worded taste averaged away."""

    INFO = ModelInfo("Oracle", _ANSWERS[ORACLE][1], "events", needs_clock=True, answers_all=True)

    def __init__(self, sample: SampleConfig, truth: SampleTruth, data: Interactions, words: bool) -> None:
        super().__init__(sample)
        self._truth, self._words = truth, words
        self._users, self._items = self._truth.user_rows(data.user_ids[1:]), self._truth.item_rows(data.item_ids[1:])

    def scores(self, requests: Requests) -> Floats:
        found = np.zeros((len(requests), len(self._items) + 1), np.float32)
        users = self._users[requests.users - 1]
        found[:, 1:] = choice_probabilities(self._truth, users, requests.times, self._words)[:, self._items]
        return found

    def state(self) -> Arrays:
        return {}  # nothing is fitted

    def restore(self, arrays: Arrays, data: FitData) -> None:
        del arrays, data


def oracle_models(sample: SampleConfig, split: Split) -> Iterator[EvaluatedModel]:
    """Both oracles of the corpus that `sample` generates; none where the events are not that corpus's."""
    truth, data = draw_truth(sample), split.test.data
    if not truth.knows(data.user_ids[1:], data.item_ids[1:]):
        return
    for name, (label, description) in _ANSWERS.items():
        model = Oracle(sample, truth, data, words=name == ORACLE)
        yield EvaluatedModel((Answer(name, "oracle", label, description),), [WithFallback(model)])
