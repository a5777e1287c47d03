"""Which texts belong together: of one user or item, in order of time, of nothing that is held out."""

import numpy as np
import pytest
from factories.tuning import texts_of

from llmrec.config import TuningConfig
from llmrec.tuning.data import TuningData
from llmrec.tuning.pairs import NOBODY, Pairs, make_pairs

#: user, item, time, stars
ROWS = [(0, 0, 1, 5.0), (1, 0, 2, 5.0), (0, 1, 3, 2.0), (0, 2, 4, 4.0), (1, 2, 4, 5.0), (0, 3, 5, np.nan),
        (1, 3, 9, 5.0)]  # fmt: skip


def data(n_train: int = 6, blank: tuple[int, ...] = (), **config: object) -> TuningData:
    texts = texts_of(ROWS, 4)
    for row in blank:
        texts.texts[row] = " "
    return TuningData(texts, [[1]] * len(texts.texts), n_train, TuningConfig(**config), 7)


def shown(pairs: Pairs) -> set[tuple[int, int, int, int]]:
    columns = (pairs.anchor, pairs.target, pairs.user, pairs.item)
    return set(zip(*(c.tolist() for c in columns), strict=True))


def test_next_items_are_later_likes_of_the_same_user() -> None:
    likes = {(0, 9, 0, 2), (3, 10, 0, 3), (1, 9, 1, 2)}  # review, 7 + item, user, item
    assert shown(make_pairs("next_item", data(window=1))) == likes
    assert shown(make_pairs("next_item", data(window=2))) == likes | {(0, 10, 0, 3)}
    assert shown(make_pairs("next_item", data(7, window=1))) == likes | {(4, 10, 1, 3)}


def test_what_happens_at_one_moment_has_no_order() -> None:
    texts = texts_of([(0, 0, 5, 5.0), (0, 1, 5, 5.0), (0, 2, 6, 5.0)], 3)
    tied = TuningData(texts, [[1]] * 6, 3, TuningConfig(window=2), 7)
    assert shown(make_pairs("next_item", tied)) == {(0, 5, 0, 2), (1, 5, 0, 2)}


def test_the_other_kinds() -> None:
    assert shown(make_pairs("description", data(3))) == {(0, 7, 0, 0), (1, 7, 1, 0), (2, 8, 0, 1)}
    assert shown(make_pairs("same_item", data())) == {(0, 1, NOBODY, 0), (3, 4, NOBODY, 2)}
    assert shown(make_pairs("same_user", data())) == {(7, 9, 0, 2), (9, 10, 0, 3), (7, 9, 1, 2)}


@pytest.mark.parametrize("kind", ["next_item", "description", "same_item", "same_user"])
def test_a_text_without_words_is_in_no_pair(kind: str) -> None:
    blank = (0, 10)
    found = make_pairs(kind, data(blank=blank))
    assert len(found) and not np.isin([*found.anchor, *found.target], blank).any()


def test_shuffled_pairs_are_of_the_same_texts() -> None:
    pairs = make_pairs("description", data())
    dealt = pairs.shuffled(1)
    assert shown(dealt) != shown(pairs)
    assert sorted(dealt.target) == sorted(pairs.target) and (dealt.anchor == pairs.anchor).all()
    assert (dealt.target == 7 + dealt.item).all()
