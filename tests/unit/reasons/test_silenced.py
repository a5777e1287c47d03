"""Without words: what their terms add is taken away, and nothing else."""

from pathlib import Path

import numpy as np
from factories.bundles import make_bundle

from llmrec.bundle import Bundle
from llmrec.reasons import silenced
from llmrec.reasons.contributions import contributions
from llmrec.storage import Storage


def test_only_terms_of_the_kind_go(tmp_path: Path) -> None:
    bundle = Bundle.load(make_bundle(Storage(str(tmp_path)), "b").root)
    recommender, time = bundle.recommender(20), bundle.last_time
    state = bundle.history.users_at(bundle.history.user_rows(["u3"]), np.array([time]))
    rows, scores = (found[0] for found in recommender.recommend(state, np.array([time]), 20))
    found = contributions(recommender, state, rows, time, scores)
    words = [n for n, term in enumerate(found.terms) if term.startswith("text")]
    assert words
    left = silenced(recommender, state, rows, time, scores, "words")
    np.testing.assert_allclose(scores - left, found.values[:, words].sum(axis=1), atol=1e-6)
    assert list(np.argsort(-left)) != list(range(20))
    nobody = bundle.history.users_at(np.zeros(1, np.int64), np.array([time]))
    np.testing.assert_array_equal(silenced(recommender, nobody, rows, time, scores, "words"), scores)
