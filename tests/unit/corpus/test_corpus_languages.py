"""A corpus that is not in English is warned of before anything is paid for, where the encoder cannot read it."""

from pathlib import Path
from typing import Any

import pytest

from llmrec import corpus
from llmrec.config import EncoderConfig, EncodingConfig, RunConfig
from llmrec.corpus.sanity.portrait import languages
from llmrec.encoding.stage import _unknown_warning

SAMPLE = {"n_users": 60, "n_items": 40, "n_reviews": 400}


def warned(language: str, tmp_path: Path, **sections: Any) -> list[str]:
    """What `jobs.ingest --check` says of the languages of the built-in corpus in `language`."""
    sample = {"source": "sample", "sample": SAMPLE | {"language": language}}
    config = RunConfig.model_validate({"storage": str(tmp_path), "corpus": sample, **sections})
    return [w["message"] for w in corpus.check(config)["warnings"] if w["check"] == "languages"]


def test_the_packaged_encoder_is_warned_of_for_chinese_with_the_remedy(tmp_path: Path) -> None:
    (said,) = warned("zh", tmp_path)
    assert "zh 100%" in said and "packaged encoder was made for English" in said
    assert "multilingual" in said and "encoding.encoder.backend=tfidf_svd" in said and "features.text: false" in said


def test_another_model_is_named_for_its_user_to_judge(tmp_path: Path) -> None:
    (said,) = warned("zh", tmp_path, encoding={"encoder": {"model": "hub/multi"}})
    assert "hub/multi was not made for" in said and "packaged" not in said


@pytest.mark.parametrize(
    ("language", "sections"),
    [
        ("en", {}),
        ("zh", {"encoding": {"encoder": {"backend": "tfidf_svd"}}}),
        ("zh", {"encoding": {"encoder": {"backend": "word_vectors"}}}),
        ("zh", {"features": {"text": False}}),
    ],
)
def test_nothing_is_said_where_the_words_are_read_or_not_used(
    language: str, sections: dict[str, Any], tmp_path: Path
) -> None:
    assert warned(language, tmp_path, **sections) == []


def test_who_learns_words_from_the_corpus_is_not_told_to_do_so() -> None:
    learned = _unknown_warning(0.5, EncodingConfig(encoder=EncoderConfig(backend="tfidf_svd", model="fitted")))
    assert learned and "before T1" in learned and "Choose" not in learned
    given = _unknown_warning(0.5, EncodingConfig())
    assert given and "encoding.encoder.backend=tfidf_svd" in given
    assert _unknown_warning(0.0, EncodingConfig()) is None


def test_short_texts_without_latin_letters_tell_their_language() -> None:
    assert languages(["这个水壶很好用，喜欢"] * 30 + ["とても良い商品です"] * 10) == {"zh": 0.75, "ja": 0.25}
    assert languages(["good", "ok", "fine"] * 30) == {}
