"""Quotes are sentences of reviews, word for word, written before the request, and few."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from llmrec.features.asof.ids import Ids
from llmrec.reasons import Because, ItemReasons
from llmrec.schema import REVIEWS
from llmrec.schema import Column as C
from llmrec.search.quotes import MOST_CHARACTERS, Quotes, build_quotes, with_review
from llmrec.storage import Artifact, Storage

TEXTS = {
    ("u1", "i1", 10): "It boils fast. The <b>lid</b> never leaks at all!\nFine.",
    ("u2", "i1", 20): "Ok. The handle is warm and soft to hold.",
    ("u3", "i1", 30): "安静的水壶，我很喜欢它。第二句在这里也很长。",
    ("u1", "i2", 40): "x" * 300 + " a b c d. " + "Just a word",
    ("u4", "i1", 50): None,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Storage, Artifact]:
    storage = Storage(str(tmp_path_factory.mktemp("quotes")))
    rows: list[dict[str, Any]] = [
        {C.REVIEW_ID: f"r{n}", C.USER_ID: user, C.ITEM_ID: item, C.TIMESTAMP: time, C.EVENT_ORDER: n, C.STARS: None,
         C.TITLE: None, C.TEXT: text}
        for n, ((user, item, time), text) in enumerate(TEXTS.items())
    ]  # fmt: skip
    with storage.build("corpus", "c", module="llmrec.corpus.stage", config={}, parents={}) as writer:
        writer.write_table("reviews", pa.Table.from_pylist(rows, REVIEWS))
    corpus = storage.find("corpus", "c")
    assert corpus is not None
    return storage, corpus


def quotes(made: tuple[Storage, Artifact], most: int) -> Quotes:
    found = build_quotes(most, *made, None, Ids(["", "i1", "i2"]))
    assert found is not None
    return found


def test_they_are_verbatim_bounded_and_of_reviews_written_before(made: tuple[Storage, Artifact]) -> None:
    held = quotes(made, 5).table.to_pylist()
    assert held and all(len(q["text"]) <= MOST_CHARACTERS for q in held)
    for quote in held:
        (text,) = (text for (_, _, time), text in TEXTS.items() if time == quote["time"])
        assert text is not None and quote["text"] in text
    for before, expected in ((10, None), (11, "The <b>lid</b> never leaks at all!"), (21, "The handle is warm"),
                             (99, "安静的水壶，我很喜欢它。")):  # fmt: skip
        found = quotes(made, 5).best(1, before, frozenset())
        assert (found or "").startswith(expected or "") and (found is None) == (expected is None)
    assert quotes(made, 5).best(2, 99, frozenset()) is None and quotes(made, 5).best(0, 99, frozenset()) is None


def test_the_words_that_are_asked_for_choose_and_nobody_quotes_themself(made: tuple[Storage, Artifact]) -> None:
    found = quotes(made, 5)
    assert found.best(1, 99, frozenset(["leaks", "lid"])) == "The <b>lid</b> never leaks at all!"
    assert found.best(1, 99, frozenset(["leaks"]), but="u1") == "安静的水壶，我很喜欢它。"
    assert found.best(1, 11, frozenset(), but="u1") is None


def test_no_more_are_kept_than_asked_for(made: tuple[Storage, Artifact], tmp_path: Path) -> None:
    assert [q["time"] for q in quotes(made, 2).table.to_pylist()] == [30, 20]  # the last reviews, without vectors
    assert build_quotes(0, *made, None, Ids(["", "i1"])) is None
    quotes(made, 2).save(f"{tmp_path}/quotes.arrow")
    assert Quotes.load(f"{tmp_path}/quotes.arrow").table.equals(quotes(made, 2).table)
    empty = build_quotes(3, *made, None, Ids(["", "nowhere"]))
    assert empty is not None and empty.table.num_rows == 0 and empty.best(1, 99, frozenset()) is None


def test_a_quote_stands_where_words_speak_for_the_item() -> None:
    terms = {"text_profile_products": 0.4, "log_popularity": 1.0}
    reasons = ItemReasons(0.0, terms, (Because("popularity", "it is popular", 1.0), Because("words", "words", 0.4)))
    told = with_review(reasons, "It is quiet and small.")
    assert [(b.kind, b.effect, b.quote) for b in told.because] == [
        ("popularity", 1.0, None), ("reviewed", 0.4, "It is quiet and small."),
    ]  # fmt: skip
    against = ItemReasons(0.0, {"text_profile_products": -0.4}, (Because("nothing", "nothing", 0.0),))
    assert with_review(against, "It is quiet and small.") == against and with_review(reasons, None) == reasons
    assert np.isclose(sum(b.effect for b in told.because), 1.4)
