"""Sentences are verbatim, and reasons in words say what the numbers say."""

import pytest

from llmrec.features.families.registry import FAMILIES
from llmrec.reasons import MAX_SENTENCES, sentences
from llmrec.reasons.statements import by_kind, kind_of, past, statements, wrote


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I want a drum. Not a loud one!  Really?", ["I want a drum.", "Not a loud one!", "Really?"]),
        ("一把小提琴。要安静的！", ["一把小提琴。", "要安静的！"]),
        ("costs 3.50 at most", ["costs 3.50 at most"]),
        ('He said "go." Then left', ['He said "go."', "Then left"]),
        ("first line\nsecond", ["first line", "second"]),
        (" ... !! ", []),
        ("", []),
    ],
)
def test_sentences_are_parts_of_the_text(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
    assert all(part in text for part in expected)


def test_a_long_text_is_weighed_by_its_first_sentences() -> None:
    assert len(sentences("One more. " * 50)) == MAX_SENTENCES


def test_every_family_is_of_some_kind() -> None:
    kinds = {family: kind_of(family) for family in FAMILIES}
    assert "other" not in kinds.values()
    assert kinds["text_similarity"] == "words" and kinds["item_rate"] == "popularity"
    assert kind_of("retriever.two_tower") == "behaviour" and kind_of("retriever.time_at_risk") == "popularity"
    assert kind_of("retriever.text_similarity") == "words" and kind_of("vector_image_item") == "attributes"


def test_kinds_are_the_sums_of_their_terms() -> None:
    found = by_kind({"item_popularity": 1.0, "log_rate": -0.25, "collaborative": 0.5})
    assert found == {"popularity": 0.75, "behaviour": 0.5}


def test_popularity_says_which_way_it_speaks() -> None:
    much, little = (statements({"log_popularity": 1.0}, [], events, 10)[0].statement for events in (30, 2))
    assert much == "it is popular: 30 reviews so far, 10.0 on average among the candidates"
    assert little.startswith("how few reviews it has speaks for it: 2 so far")


def test_reasons_come_by_weight_and_the_plain_one_stands_for_its_kind() -> None:
    said = {"log_popularity": 0.5, "collaborative": 2.0, "item_price": 0.01, "item_stars": -1.0}
    assert [b.kind for b in statements(said, [], 5, 5)] == ["behaviour", "popularity"]
    personal = [past("i7", "liked", 0.4), wrote("quiet ones", 0.7), past("i9", "had", -0.2)]
    found = statements(said, personal, 5, 5)
    assert [b.kind for b in found] == ["wrote", "popularity", "liked"]
    assert (found[0].quote, found[2].item_id) == ("quiet ones", "i7")
    assert [b.kind for b in statements({"item_stars": -1.0}, [], 5, 5)] == ["nothing"]
