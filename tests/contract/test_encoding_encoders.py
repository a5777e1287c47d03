"""What every encoder that runs in this process promises; the vLLM one keeps the same in `e2e/test_serving_http.py`."""

from pathlib import Path

import numpy as np
import pytest
from encoding_stub import STUB, StubEncoder, corpus_of

from llmrec.config import EncoderConfig, SplitConfig
from llmrec.encoding import TextEncoder, encoder_fingerprint, make_encoder
from llmrec.encoding.job.fit import fitted
from llmrec.storage import Storage

TEXTS = [
    f"{word} {other} number {n}" for n in range(8) for word in ("warm", "loud", "很好") for other in ("bass", "drum")
]


@pytest.fixture(params=["stub", "hashing", "tfidf_svd", "word_vectors"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> TextEncoder:
    if request.param == "stub":
        return StubEncoder(STUB)
    config = EncoderConfig(backend=request.param, dimension=4, query_prompt="loud ")
    storage = Storage(str(tmp_path))
    return make_encoder(fitted(config, SplitConfig(), storage, corpus_of(storage, TEXTS)))


def test_shapes_and_dtypes(encoder: TextEncoder) -> None:
    encoded = encoder.encode(TEXTS)
    assert encoded.vectors.shape == (len(TEXTS), encoder.dim)
    assert (encoded.vectors.dtype, encoded.n_tokens.dtype, encoded.n_unknown.dtype) == (np.float32, np.int32, np.int32)
    assert (encoded.n_unknown <= encoded.n_tokens).all()


def test_a_vector_does_not_depend_on_its_neighbours(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS).vectors
    alone = np.concatenate([encoder.encode([text]).vectors for text in reversed(TEXTS)])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_no_texts(encoder: TextEncoder) -> None:
    encoded = encoder.encode([])
    assert encoded.vectors.shape == (0, encoder.dim)
    assert encoded.unknown_share == 0


def test_odd_texts(encoder: TextEncoder) -> None:
    odd = ["", " ", "\0", "🎸" * 10_000, "ﷺ\u202e", "a" * 100_000]
    assert np.isfinite(encoder.encode(odd).vectors).all()


def test_it_is_an_encoder(encoder: TextEncoder) -> None:
    assert isinstance(encoder, TextEncoder)
    assert len(encoder.fingerprint) == 16


def test_the_prompt_of_a_query_counts() -> None:
    encoder = make_encoder(EncoderConfig(backend="hashing", query_prompt="loud "))
    query, document = encoder.encode(["bass"], "query"), encoder.encode(["loud bass"])
    np.testing.assert_array_equal(query.vectors, document.vectors)
    assert encoder.fingerprint == encoder_fingerprint(EncoderConfig(backend="hashing", query_prompt="loud "))
