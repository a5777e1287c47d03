"""The search index: which words find which items, in any script, and what says nothing."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llmrec.config import EncoderConfig, SampleConfig, SearchConfig
from llmrec.corpus.sample.generate import SampleTruth, generate
from llmrec.corpus.sample.words import LANGUAGES
from llmrec.encoding import item_text, make_encoder
from llmrec.features.asof.ids import Ids
from llmrec.schema import ITEMS, REVIEWS
from llmrec.schema import Column as C
from llmrec.search import Asked, SearchIndex
from llmrec.search.build import build_index
from llmrec.search.index import RANK, reciprocal_ranks
from llmrec.search.texts import SHOWN
from llmrec.search.vectors import ItemVectors
from llmrec.storage import Storage
from llmrec.words import terms

LOOK = {"en": ("something {}", "looking for a {}"), "de": ("etwas {}", "suche eine {}"), "zh": ("想要{}", "我在找{}")}


@dataclass(frozen=True)
class Searched:
    index: SearchIndex
    ids: Ids
    truth: SampleTruth

    def rows(self, text: str, k: int = 10) -> np.ndarray:
        """(≤ k,) rows of the truth that the words find, without an encoder."""
        found = self.index.find(Asked(text), self.all).best(k)
        return self.truth.item_rows([self.ids[int(row)] for row in found])

    @property
    def all(self) -> np.ndarray:
        return np.ones(len(self.index), np.bool_)


def searched(folder: Path, language: str) -> Searched:
    config = SampleConfig(n_users=150, n_items=120, n_reviews=1_500, seed=3, language=language)
    corpus, storage = generate(config), Storage(str(folder))
    with storage.build("corpus", language, module="llmrec.corpus.stage", config={}, parents={}) as writer:
        writer.write_table("reviews", corpus.reviews)
        writer.write_table("items", corpus.items)
    found = storage.find("corpus", language)
    assert found is not None
    ids = Ids.of(corpus.items[C.ITEM_ID])
    return Searched(build_index(SearchConfig(), storage, found, None, ids), ids, corpus.truth)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Searched]:
    return {language: searched(tmp_path_factory.mktemp(language), language) for language in LOOK}


@pytest.mark.parametrize("language", list(LOOK))
def test_a_title_finds_its_item_and_words_find_what_has_the_quality_or_is_of_the_category(
    worlds: dict[str, Searched], language: str
) -> None:
    world, words = worlds[language], LANGUAGES[language]
    drawn = np.random.default_rng(0).choice(len(world.ids) - 1, 40, replace=False) + 1
    titles = {int(row): world.index.texts.title(int(row)) for row in drawn}
    own = world.truth.item_rows([world.ids[row] for row in titles])
    assert sum(row in world.rows(title or "") for row, title in zip(own, titles.values(), strict=True)) >= 38
    quality, category = LOOK[language]
    fit = [world.truth.aspects[world.rows(quality.format(a.want)), n].mean() for n, a in enumerate(words.aspects)]
    assert np.mean(fit) >= 0.7 > 4 * world.truth.aspects.mean()
    found = (world.truth.category[world.rows(category.format(noun))] == n for n, noun in enumerate(words.nouns))
    assert np.mean([fits.mean() for fits in found]) >= 0.9


def test_what_only_reviews_say_is_found_where_they_are_searched(tmp_path: Path) -> None:
    storage, ids = Storage(str(tmp_path)), Ids(["", "a", "b", "c"])
    row = {C.REVIEW_ID: "r", C.USER_ID: "u", C.TIMESTAMP: 1, C.EVENT_ORDER: 1, C.STARS: 5.0, C.TITLE: None}
    with storage.build("corpus", "c", module="llmrec.corpus.stage", config={}, parents={}) as writer:
        items = [{C.ITEM_ID: i, C.TITLE: t} for i, t in (("a", "Lamp"), ("b", "Fan"), ("c", None))]
        writer.write_table("items", pa.Table.from_pylist(items, ITEMS))
        said = [row | {C.ITEM_ID: "b", C.TEXT: "early bird"}, row | {C.ITEM_ID: "c", C.TEXT: "hums softly"},
                row | {C.ITEM_ID: "b", C.TEXT: "one two three four"}]  # fmt: skip
        writer.write_table("reviews", pa.Table.from_pylist(said, REVIEWS))
    corpus = storage.find("corpus", "c")
    assert corpus is not None
    for words, found in ((1_000, {"hums": [3], "bird": [2], "lamp": [1]}), (0, {"hums": [], "lamp": [1]}),
                         (2, {"bird": [], "hums": [3], "four": [2]})):  # fmt: skip
        index = build_index(SearchConfig(review_words=words), storage, corpus, None, ids)
        for text, rows in found.items():
            assert index.find(Asked(text), np.ones(4, np.bool_)).best(9).tolist() == rows, (words, text)


def test_saved_and_loaded_it_finds_the_same(worlds: dict[str, Searched], tmp_path: Path) -> None:
    first = worlds["en"].index
    encoder = make_encoder(EncoderConfig(backend="hashing", dimension=64))
    texts = [item_text(first.texts.title(row), None, None, None) for row in range(len(first))]
    whole = SearchIndex(first.texts, first.own, first.said, ItemVectors.of(encoder.encode(texts).vectors))
    whole.save(str(tmp_path / "index"))
    again = SearchIndex.load(str(tmp_path / "index"))
    assert again is not None
    asked = Asked(texts[5], encoder.encode([texts[5]]).vectors[0])
    before, after = (index.find(asked, worlds["en"].all) for index in (whole, again))
    assert np.array_equal(before.relevance, after.relevance)
    assert before.best(1)[0] == 5 and before.by_words[5] and before.by_vectors[5]
    assert again.highlights(5, texts[5]) == whole.highlights(5, texts[5])
    assert SearchIndex.load(str(tmp_path / "nowhere")) is None


def test_letters_at_random_find_nothing_and_a_word_among_them_does(worlds: dict[str, Searched]) -> None:
    world = worlds["en"]
    for text in ("xqzvw plorf", "", "!!!", "qwrtz 琴弦", "the the"):
        assert not world.index.find(Asked(text), world.all)
    assert world.index.find(Asked("xqzvw plorf kettle"), world.all)


def test_only_what_is_allowed_is_found(worlds: dict[str, Searched]) -> None:
    world = worlds["en"]
    kettles = world.index.find(Asked("kettle"), world.all).best(200)
    some = np.zeros(len(world.index), np.bool_)
    some[kettles[::2]] = True
    found = world.index.find(Asked("kettle"), some).best(200)
    assert set(found) <= set(kettles[::2]) and len(found) >= 3


def test_highlights_are_verbatim_and_hold_the_words(worlds: dict[str, Searched]) -> None:
    for language, world in worlds.items():
        text = f"{world.index.texts.fields(7)[C.DESCRIPTION]} {world.index.texts.title(7)}"
        shown = world.index.highlights(7, text)
        fields = world.index.texts.fields(7)
        assert {h.field for h in shown} >= {"title", "description"}, language
        for highlight in shown:
            assert highlight.text in fields[highlight.field]
            assert highlight.words and all(word in highlight.text for word in highlight.words)
            assert set(terms(" ".join(highlight.words))) <= set(terms(text))
            assert len(highlight.text) <= SHOWN + 20


def test_reciprocal_ranks_share_a_rank_between_equals_and_leave_zeros_out() -> None:
    found = reciprocal_ranks(np.array([0, 3, 5, 3, -1, 1], np.float32))
    expected = [0, 1 / (RANK + 2), 1 / (RANK + 1), 1 / (RANK + 2), 0, 1 / (RANK + 4)]
    np.testing.assert_allclose(found, np.array(expected, np.float32))


def test_a_text_is_near_where_its_cosine_exceeds_that_of_two_items_at_random() -> None:
    draw = np.random.default_rng(1)
    common = draw.normal(size=16)
    vectors = (draw.normal(size=(200, 16)) + 2 * common).astype(np.float32)
    vectors[0] = 0
    made = ItemVectors.of(vectors)
    assert 0.5 < made.background < 0.95
    assert made.nearness(vectors[7])[7] > 0
    assert not made.nearness(draw.normal(size=16).astype(np.float32)).any()
    with pytest.raises(ValueError, match="found 3 numbers, expected 16"):
        made.nearness(np.ones(3, np.float32))
