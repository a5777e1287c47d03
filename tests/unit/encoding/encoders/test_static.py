"""Static encoders: any language, identical after saving and loading, fitted on nothing from after T1."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from encoding_stub import corpus_of

from llmrec.config import EncoderConfig, SplitConfig
from llmrec.config.data.corpus import SampleConfig
from llmrec.corpus.sample.generate import generate
from llmrec.encoding import encoder_fingerprint, make_encoder
from llmrec.encoding.encoders.fingerprint import named_content
from llmrec.encoding.job.fit import fitted, training_texts
from llmrec.storage import Storage

TOPICS = {
    "en": ("guitar strings sound warm", "microphone cable hums loud"),
    "zh": ("吉他 琴弦 声音 温暖", "麦克风 电缆 噪音 很大"),
}


def texts(language: str, n: int = 60) -> list[str]:
    """Two topics in turn, each review a different choice of its topic's words."""
    rng = np.random.default_rng(0)
    made = []
    for at in range(n):
        words = TOPICS[language][at % 2].split()
        made.append(" ".join(rng.permutation(words)[: rng.integers(2, 4)]) + f" {at % 7}")
    return made


def corpus_encoder(backend: str, root: Path, corpus: list[str]) -> EncoderConfig:
    storage = Storage(str(root))
    config = EncoderConfig(backend=backend, dimension=8)
    return fitted(config, SplitConfig(), storage, corpus_of(storage, corpus))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("backend", ["tfidf_svd", "word_vectors", "hashing"])
def test_texts_of_one_topic_are_closer(backend: str, language: str, tmp_path: Path) -> None:
    corpus = texts(language)
    encoded = make_encoder(corpus_encoder(backend, tmp_path, corpus)).encode(corpus)
    assert encoded.vectors.shape == (60, 8)
    assert encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, rtol=1e-5)
    similar = encoded.vectors @ encoded.vectors.T
    same, other = similar[::2, ::2].mean(), similar[::2, 1::2].mean()
    assert same > other + 0.1


@pytest.mark.parametrize("backend", ["tfidf_svd", "word_vectors"])
def test_a_fitted_encoder_is_the_same_wherever_it_is_loaded(backend: str, tmp_path: Path) -> None:
    corpus = texts("en")
    first = corpus_encoder(backend, tmp_path / "a", corpus)
    second = corpus_encoder(backend, tmp_path / "b", corpus)
    assert first.model != second.model
    assert encoder_fingerprint(first) == encoder_fingerprint(second)
    np.testing.assert_array_equal(
        make_encoder(first).encode(corpus).vectors, make_encoder(second).encode(corpus).vectors
    )
    assert not list(tmp_path.rglob("*.pkl"))


@pytest.mark.parametrize("backend", ["tfidf_svd", "word_vectors"])
def test_another_corpus_is_another_encoder(backend: str, tmp_path: Path) -> None:
    first = corpus_encoder(backend, tmp_path / "a", texts("en"))
    second = corpus_encoder(backend, tmp_path / "b", texts("zh"))
    assert encoder_fingerprint(first) != encoder_fingerprint(second)


def test_nothing_from_after_t1_is_learned(tmp_path: Path) -> None:
    corpus = texts("en")
    planted = [*corpus[:-1], corpus[-1] + " xylophon"]
    storage = Storage(str(tmp_path))
    first = training_texts(corpus_of(storage, corpus, "plain"), SplitConfig())
    assert training_texts(corpus_of(storage, planted, "planted"), SplitConfig()) == first
    early = ["xylophon", *corpus[1:]]  # the positive control
    assert training_texts(corpus_of(storage, early, "early"), SplitConfig()) != first


@pytest.mark.parametrize("backend", ["tfidf_svd", "word_vectors"])
def test_words_it_never_saw_are_unknown_and_harmless(backend: str, tmp_path: Path) -> None:
    encoded = make_encoder(corpus_encoder(backend, tmp_path, texts("en"))).encode(["guitar Zyx strings", "", "…"])
    assert encoded.n_tokens.tolist() == [3, 0, 0]
    assert encoded.n_unknown.tolist() == [1, 0, 0]
    assert np.isfinite(encoded.vectors).all()


def test_a_static_encoder_cuts_at_max_tokens() -> None:
    encoder = make_encoder(EncoderConfig(backend="hashing", max_tokens=8))
    words = [f"w{n}" for n in range(12)]
    long, short = encoder.encode([" ".join(words), " ".join(words[:8])]).vectors
    np.testing.assert_array_equal(long, short)


def test_too_few_texts_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dimension: found 8, expected fewer than.*lower it"):
        corpus_encoder("tfidf_svd", tmp_path, [f"w{n}" for n in range(9)])


def test_an_unfitted_encoder_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="holds no fitted"):
        make_encoder(EncoderConfig(backend="tfidf_svd", model="nowhere"))


@pytest.fixture(scope="module")
def chinese() -> list[str]:
    """Reviews of the built-in corpus in Chinese: words without spaces between them."""
    sample = SampleConfig(n_users=60, n_items=40, n_reviews=400, language="zh", text_share=0.7)
    made = [text for text in generate(sample).reviews["text"].to_pylist() if text]
    assert len(made) > 200 and sum(" " in text for text in made) < len(made) / 2
    return made


@pytest.mark.parametrize("backend", ["tfidf_svd", "word_vectors"])
def test_chinese_is_read_word_by_word(backend: str, chinese: list[str], tmp_path: Path) -> None:
    """Cut at spaces a review is one word that no other review holds, and its vector is zero."""
    encoded = make_encoder(corpus_encoder(backend, tmp_path, chinese)).encode(chinese)
    assert (np.linalg.norm(encoded.vectors, axis=1) > 0.99).mean() > 0.99
    assert encoded.n_unknown.sum() < 0.2 * encoded.n_tokens.sum()
    assert np.median(encoded.n_tokens) > 5


def test_words_without_spaces_are_cut_after_max_tokens() -> None:
    encoder = make_encoder(EncoderConfig(backend="hashing", dimension=64, max_tokens=8))
    short = encoder.encode(["我想要一把安静的吉他"])
    long = encoder.encode(["我想要一把安静的吉他" * 10_000])
    assert short.n_tokens[0] <= 8 and long.n_tokens[0] == 8


VECTORS = "3 2\nguitar 1 0\nGuitar 5 5\nice cream 0 2\nwarm 0 1\n"


def file_encoder(root: Path, told: str | bytes, name: str = "v.txt", **named: object) -> EncoderConfig:
    (root / name).write_bytes(told if isinstance(told, bytes) else told.encode())
    storage = Storage(str(root))
    config = EncoderConfig(backend="word_vectors", model=str(root / name), **named)
    # Eight distinct texts lie before T1: a guitar in each, and as many other words.
    corpus = corpus_of(storage, [f"guitar {n}" for n in range(8)] + ["warm warm", "warm", "warm 3"])
    return fitted(config, SplitConfig(), storage, corpus)


@pytest.mark.parametrize("name", ["v.txt", "v.vec.gz"])
def test_word_vectors_of_a_file_are_weighted_by_the_corpus(tmp_path: Path, name: str) -> None:
    told = gzip.compress(VECTORS.encode()) if name.endswith(".gz") else VECTORS.encode()
    encoder = make_encoder(file_encoder(tmp_path, told, name, normalize=False))
    found = encoder.encode(["GUITAR", "warm", "guitar warm unheard"])
    rare, share = 1.0, 1e-3 / (1e-3 + 1 / 2)  # every other word is a guitar, none is warm
    np.testing.assert_allclose(found.vectors, [[share, 0], [0, rare], [share / 2, rare / 2]], rtol=1e-5)
    assert encoder.dim == 2 and found.n_unknown.tolist() == [0, 0, 1]


def test_another_file_of_that_name_is_another_encoder(tmp_path: Path) -> None:
    first = file_encoder(tmp_path, VECTORS)
    assert file_encoder(tmp_path, VECTORS).model == first.model
    second = file_encoder(tmp_path, VECTORS.replace("warm 0 1", "warm 1 1"))
    assert second.model != first.model and encoder_fingerprint(second) != encoder_fingerprint(first)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("guitar 1 0\nwarm 1\n", r"v.txt is not in word2vec's text format: line 2 has 1 numbers, expected 2"),
        ("guitar 1 zero\n", "could not convert string to float"),
        ("guitar 1 nan\n", "line 1 holds a number that is not finite"),
        ("", "holds no word"),
        (b"\xff\xfe", "is not in word2vec's text format"),
    ],
)
def test_a_file_without_vectors_is_refused(tmp_path: Path, told: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        file_encoder(tmp_path, told)


def test_vectors_that_are_not_there_or_of_another_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dimension: found 3, but vectors in .* have 2 numbers"):
        file_encoder(tmp_path, VECTORS, dimension=3)
    with pytest.raises(ValueError, match=r"found no file 'nowhere\.vec'"):
        named_content(EncoderConfig(backend="word_vectors", model="nowhere.vec"))
