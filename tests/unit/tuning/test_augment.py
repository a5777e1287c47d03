"""Texts told otherwise: by value, and never without a word or a special token."""

import numpy as np
import pytest

from llmrec.encoding.encoders.model_files import model_folder
from llmrec.tuning.augment import AUGMENTATIONS, Augmentation

WORDS, ENDS = list(range(10, 30)), frozenset({14, 19})


def told(kind: str, share: float, seed: int = 0) -> list[int]:
    return AUGMENTATIONS[kind](WORDS, share, ENDS, np.random.default_rng(seed))


def test_word_dropout_leaves_out_that_share_and_keeps_the_order() -> None:
    kept = [told("word_dropout", 0.25, seed) for seed in range(200)]
    assert 0.73 < np.mean([len(words) for words in kept]) / 20 < 0.77
    assert all(words == sorted(words) for words in kept)


def test_span_deletion_leaves_out_one_stretch() -> None:
    for seed in range(20):
        gone = sorted(set(WORDS) - set(told("span_deletion", 0.3, seed)))
        assert gone == list(range(gone[0], gone[0] + 6))
    assert len({tuple(told("span_deletion", 0.3, seed)) for seed in range(50)}) > 10
    assert told("span_deletion", 0.01) == WORDS


def test_sentences_change_places_whole() -> None:
    sentences = [WORDS[:5], WORDS[5:10], WORDS[10:]]
    orders = {tuple(told("sentence_order", 0.999, seed)) for seed in range(60)}
    assert len(orders) == 6
    for order in orders:
        starts = sorted(sentences, key=lambda sentence: order.index(sentence[0]))
        assert list(order) == [word for sentence in starts for word in sentence]
    assert told("sentence_order", 1e-9) == WORDS


def test_special_tokens_stay_and_a_text_never_ends_up_empty() -> None:
    folder, rng = model_folder("default"), np.random.default_rng(0)
    both = Augmentation({"sentence_order": 0.9, "word_dropout": 0.99}, folder)
    for ids in ([101, 2000, 102], [101, 102], [101, *range(2000, 2010), 102]):
        for _ in range(20):
            found = both(ids, rng)
            assert found[0] == 101 and found[-1] == 102 and (len(found) > 2 or len(ids) == 2)
    assert Augmentation({}, folder)([101, 2000, 102], rng) == [101, 2000, 102]
    ends = Augmentation({"word_dropout": 0.5}, folder)._ends
    assert 1012 in ends and 2000 not in ends  # "." of MiniLM's vocabulary


@pytest.mark.parametrize("share", [0.0, 1.0, float("nan")])
def test_shares_that_mean_nothing_are_refused(share: float) -> None:
    from llmrec.config import TuningConfig

    with pytest.raises(ValueError, match=r"shares between 0 and 1|a finite number"):
        TuningConfig(augment={"word_dropout": share})
    with pytest.raises(ValueError, match="no augmentation 'word_drop'; the nearest is 'word_dropout'"):
        TuningConfig(augment={"word_drop": 0.1})
