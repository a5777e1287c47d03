"""BM25 between items: the weights of bm25s by hand, words of the future left out, no words at all."""

from pathlib import Path

import bm25s
import numpy as np
import pytest
from factories.features import World
from factories.training import folds

from llmrec.config.models import model_config
from llmrec.features.asof.ids import Ids
from llmrec.models.files.store import make_model
from llmrec.models.retrievers.words.item_words import item_words
from llmrec.schema import Column as C
from llmrec.storage import Storage
from llmrec.training.closed_form import fit_model
from llmrec.training.fit import load_context


def fitted(root: Path, world: World, variant: str = "text", **settings: object) -> np.ndarray:
    made = folds(root, world)
    context = load_context(made.validation, variant)
    model = make_model("retriever", model_config("retriever", {"name": "bm25", **settings}), context)
    fit_model(model, made.validation, 3, validate=True)
    return np.asarray(model._weights.toarray())


def test_an_item_asks_for_others_by_its_words(tmp_path: Path) -> None:
    world = World.random()
    found = fitted(tmp_path, world, review_words=0)
    documents = [[f"word{k}", f"word{k + 1}", f"brand{k % 3}", f"cat{k % 2}", f"cat{k % 5}"] for k in range(15)]
    index = bm25s.BM25(method="lucene")
    index.index([[], *documents], show_progress=False)
    for row in range(1, 16):
        words = list(dict.fromkeys(documents[row - 1]))
        scores = index.get_scores(words)
        expected = scores / scores[row]
        expected[row] = 0
        assert found[row] == pytest.approx(expected, abs=1e-5)
    nearest = fitted(tmp_path / "two", world, review_words=0, neighbours=2)
    assert ((nearest > 0).sum(1)[1:] == 2).all() and (nearest.max(1)[1:] == found.max(1)[1:]).all()


def test_reviews_from_the_cut_off_on_say_nothing(tmp_path: Path) -> None:
    world = World.random()
    context = load_context(folds(tmp_path / "plain", world).validation, "text")
    late = next(r for r in world.reviews if r[C.TIMESTAMP] >= context.spec.cutoff)
    early = next(r for r in world.reviews if r[C.TIMESTAMP] < context.spec.cutoff and r[C.TEXT])
    plain = fitted(tmp_path / "a", world)
    assert np.array_equal(fitted(tmp_path / "b", world.changed(late[C.REVIEW_ID], **{C.TEXT: "zebra " * 9})), plain)
    assert not np.array_equal(fitted(tmp_path / "c", world.changed(early[C.REVIEW_ID], **{C.TEXT: "zebra"})), plain)


def test_without_text_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert not fitted(tmp_path, World.random(), "no_text").any()


def test_the_last_words_of_reviews_stay(tmp_path: Path) -> None:
    world = World.random()
    corpus, _ = world.stored_corpus(Storage(str(tmp_path)))
    ids = Ids(["", *(i[C.ITEM_ID] for i in world.items)])
    own, some, every = (item_words(corpus, ids, 1 << 60, n) for n in (0, 3, 10_000))
    assert not own.documents[0] and [len(d) for d in own.documents[1:]] == [len(d) - 3 for d in some.documents[1:]]
    assert all(len(d) > len(s) for d, s in zip(every.documents[1:], some.documents[1:], strict=True))
