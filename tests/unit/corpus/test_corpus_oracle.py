"""The oracle of the sample corpus against draws of the generator, and the default corpus as a test."""

import numpy as np
import pytest

from llmrec.config import SampleConfig, SplitConfig
from llmrec.corpus.sample import choice_probabilities, draw_truth, generate
from llmrec.corpus.sample.generate import PERIOD_MS, START_MS, pick
from llmrec.corpus.sample.text import Ints
from llmrec.corpus.splits import cutoffs


def test_the_oracle_says_how_often_the_generator_takes_each_product() -> None:
    truth = draw_truth(SampleConfig(n_users=20, n_items=12, n_reviews=100, text_share=0.7, seed=3))
    n, now = 40_000, START_MS + PERIOD_MS * 3 // 4
    users, times = np.full(n, 5), np.full(n, now)
    drawn = np.bincount(pick(truth, users, times, np.random.default_rng(0)), minlength=12) / n
    said = choice_probabilities(truth, users[:1], times[:1])[0]
    assert said.sum() == pytest.approx(1, abs=1e-6)
    assert np.abs(drawn - said).max() < 4 * np.sqrt(said.max() / n)
    assert (said[truth.available > now] == 0).all()


def test_without_words_the_oracle_is_right_on_average_over_the_worded_taste() -> None:
    config = SampleConfig(n_users=4_000, n_items=15, n_reviews=100, text_share=1.0, seed=5)
    truth = draw_truth(config)
    users, times = np.arange(4_000), np.full(4_000, START_MS + PERIOD_MS - 1)
    with_words, without = (choice_probabilities(truth, users, times, words) for words in (True, False))
    assert without.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert np.ptp(without, axis=0).max() < 1e-12, "nothing visible matters, so all shoppers are alike to it"
    assert np.abs(with_words.mean(axis=0) - without.mean(axis=0)).max() < 0.05


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_the_default_corpus_asks_2000_questions_and_no_product_is_more_than_2_percent_of_them(seed: int) -> None:
    reviews = generate(SampleConfig(seed=seed)).reviews
    times: Ints = reviews.column("timestamp").to_numpy()
    asked = reviews.column("item_id").to_numpy()[times >= cutoffs(times, SplitConfig()).t2]
    assert len(asked) >= 2_000
    assert np.unique(asked, return_counts=True)[1].max() <= 0.02 * len(asked)


def test_words_are_worth_much_by_construction_and_nothing_where_the_taste_is_visible() -> None:
    def worth(text_share: float) -> float:
        config = SampleConfig(n_users=500, n_items=400, n_reviews=3_000, text_share=text_share)
        corpus = generate(config)
        last = corpus.reviews.slice(2_700)
        users = corpus.truth.user_rows(last.column("user_id").to_pylist())
        items = corpus.truth.item_rows(last.column("item_id").to_pylist())
        times = last.column("timestamp").to_numpy()
        found = []
        for words in (True, False):
            said = choice_probabilities(corpus.truth, users, times, words)
            found.append(((said > said[np.arange(len(items)), items][:, None]).sum(axis=1) < 10).mean())
        return float(found[0] - found[1])

    assert worth(0.7) > 0.1
    assert worth(0.0) == 0
