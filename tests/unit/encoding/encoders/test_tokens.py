"""Tokens are cut and never padded, unknown ones are counted; progress says what the issue asks for."""

import logging

import pytest

from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.encoding.job.progress import EncodeProgress


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(model_folder("default"), max_tokens=16)


def test_no_padding_and_no_more_than_max_tokens(tokenizer: Tokenizer) -> None:
    """The packaged tokenizer.json pads everything to 128 tokens unless told otherwise."""
    batch = tokenizer(["good", "good " * 100])
    assert batch.n_tokens.tolist() == [3, 16]
    assert batch.ids[0][0] == batch.ids[1][0] != batch.ids[0][1]
    assert batch.ids[1][-1] == batch.ids[0][-1], "the end token survives the cut"


def test_unknown_tokens_are_counted(tokenizer: Tokenizer) -> None:
    batch = tokenizer(["plain words", "这个吉他 🎸"])
    assert batch.n_unknown[0] == 0
    assert 0 < batch.n_unknown[1] <= batch.n_tokens[1] - 2


def test_no_texts(tokenizer: Tokenizer) -> None:
    assert tokenizer([]).n_tokens.shape == (0,)


def test_progress_is_logged_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), EncodeProgress(to_encode=10, cache_hits=90) as progress:
        progress.add(4, 400, seconds=2.0)
    (line,) = caplog.messages
    for part in ("4 of 10 texts", "2 texts/s", "200 tokens/s", "90 cache hits", "3 s left"):
        assert part in line


def test_nothing_to_encode_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), EncodeProgress(to_encode=0, cache_hits=90):
        pass
    assert not caplog.messages
