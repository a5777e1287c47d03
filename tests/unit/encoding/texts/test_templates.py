"""The one text template, prompts, keys, the final scaling and the token poolings, by hand-computed cases."""

import numpy as np
import pytest

from llmrec.config import EncoderConfig
from llmrec.encoding import item_text, review_text
from llmrec.encoding.encoders.encoder import finish, prompted
from llmrec.encoding.encoders.pooling import attention_mean_pool, max_pool, mean_max_pool
from llmrec.encoding.store.keys import text_key, text_keys


def test_reviews() -> None:
    assert review_text(" Great ", "Stays in tune.\n") == "Great\nStays in tune."
    assert review_text(None, "很好 🎸") == "很好 🎸"
    assert review_text("", None) == review_text(None, " ") == ""


def test_items() -> None:
    text = item_text("Strings", "Elixir", ["Music", " Guitar", ""], "Coated.")
    assert text == "Strings\nElixir\nMusic > Guitar\nCoated."
    assert item_text(None, None, None, None) == item_text("", " ", [], "") == ""


def test_a_prompt_stands_before_the_text_of_its_kind() -> None:
    config = EncoderConfig(query_prompt="query: ", document_prompt="passage: ")
    assert prompted(config, ["x"], "query") == ["query: x"]
    assert prompted(config, ["x"]) == ["passage: x"]
    with pytest.raises(ValueError, match="expected 'document' or 'query'"):
        prompted(config, ["x"], "title")  # type: ignore[arg-type]


def test_keys_depend_on_encoder_and_text_alone() -> None:
    assert text_key("a", "x") == text_key("a", "x") != text_key("b", "x")
    assert text_key("a", "bc") != text_key("ab", "c")
    assert text_keys("a", ["x", ""]) == [text_key("a", "x"), None]


def test_finish_cuts_before_it_scales() -> None:
    vectors = np.array([[3.0, 4.0, 12.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(finish(vectors, 2, True), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(finish(vectors, None, False), vectors)
    with pytest.raises(ValueError, match="found 4, expected at most 3"):
        finish(vectors, 4, True)


def test_token_poolings() -> None:
    tokens = np.array([[1.0, 0.0], [3.0, -2.0]], np.float32)
    np.testing.assert_allclose(max_pool(tokens), [3, 0])
    np.testing.assert_allclose(mean_max_pool(tokens), [2, -1, 3, 0])
    scores = np.array([1 * 2, 3 * 2 + 2 * 1]) / np.sqrt(2)  # h · mean / √d with mean (2, -1)
    weights = np.exp(scores) / np.exp(scores).sum()
    np.testing.assert_allclose(attention_mean_pool(tokens), weights @ tokens, rtol=1e-5)
    same = np.tile([0.5, 1.0], (4, 1)).astype(np.float32)
    np.testing.assert_allclose(attention_mean_pool(same), [0.5, 1.0])
