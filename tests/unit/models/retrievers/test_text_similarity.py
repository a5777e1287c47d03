"""Candidates by words: those of a known user, and of somebody new who only speaks."""

from pathlib import Path

import numpy as np
from factories.features import START, World, encode
from factories.training import folds

from llmrec.models.base import Requests
from llmrec.models.retrievers.text_similarity import TextSimilarity, TextSimilarityConfig
from llmrec.schema import DAY_MS
from llmrec.training.fit import load_context


def test_the_items_nearest_to_ones_words_come_first(tmp_path: Path) -> None:
    context = load_context(folds(tmp_path, World.random()).validation, "text")
    history, time = context.history, START + 60 * DAY_MS
    model = TextSimilarity(TextSimilarityConfig(), context)
    guests = [history.cold_start_state(np.zeros(0, np.int64), encode([words])[0], time) for words in ("word3", "word9")]
    nobody = history.users_at(np.array([0]), np.array([time]))
    items = history.items_at(np.arange(len(history.item_ids)), np.full(len(history.item_ids), time, np.int64))
    for state in guests:
        asked = Requests(state.rows, np.array([time]), context.as_of, state)
        scores = model.scores(asked)[0]
        own = state.text[0, 0] / np.linalg.norm(state.text[0, 0])
        told = items.text[:, 0] / np.maximum(np.linalg.norm(items.text[:, 0], axis=1, keepdims=True), 1e-12)
        assert (scores >= told @ own - 1e-5).all() and scores.max() <= 1 + 1e-5
        assert model.answers(asked).all()
    assert not model.answers(Requests(nobody.rows, np.array([time]), context.as_of, nobody)).any()
