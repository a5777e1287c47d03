"""The built-in corpus's oracle answers a protocol's queries like any model, and nothing else comes near it."""

import numpy as np

from llmrec.config import SampleConfig, SplitConfig
from llmrec.corpus.sample import generate
from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data.protocols import temporal
from llmrec.evaluation.ranking.baselines import WithFallback, fit_data, make, quality
from llmrec.evaluation.ranking.oracle import oracle_models
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.features.asof.interactions import Interactions
from llmrec.variants import ORACLE, ORACLE_NO_TEXT


def test_words_are_worth_what_lies_between_the_oracles_and_popularity_is_below_both() -> None:
    sample = SampleConfig(n_users=400, n_items=300, n_reviews=4_000)
    corpus = generate(sample)
    data = Interactions.from_tables(corpus.reviews, corpus.items)
    cut = cutoffs(data.time, SplitConfig())
    split = temporal(data, cut.t1, cut.t2)
    lists = {e.answers[0].name: lists_of(e.seeds[0], split.test, 10) for e in oracle_models(sample, split)}
    found = {name: quality(top, split.test, "ndcg@10") for name, top in lists.items()}
    popularity = make("recent_popularity", {"decay_days": 30.0})
    popularity.fit(fit_data(split.test, None, 7))
    recent = quality(lists_of(WithFallback(popularity), split.test, 10), split.test, "ndcg@10")
    assert found[ORACLE] > found[ORACLE_NO_TEXT] + 0.03 > recent + 0.03
    assert all(e.answers[0].kind == "oracle" for e in oracle_models(sample, split))
    assert (lists[ORACLE].item_rows > 0).all() and np.isfinite(lists[ORACLE].scores).all()
