"""The Encoder deployment: requests that meet are joined, and each gets its own vectors back."""

from collections.abc import Sequence

import numpy as np
from factories.serving import fake_vector

from llmrec.encoding import Encoded
from serve_app.deployments.encoder import encode_joined
from serve_app.messages import EncodedTexts, TextKind


class CountingEncoder:
    """Counts its calls and chokes on the word `poison`."""

    fingerprint = "fake-encoder"
    dim = 8

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []

    def encode(self, texts: Sequence[str], kind: TextKind = "document") -> Encoded:
        self.calls.append((len(texts), kind))
        if "poison" in texts:
            raise RuntimeError("the encoder choked")
        counts = np.array([len(t.split()) for t in texts], np.int32)
        return Encoded(np.stack([fake_vector(kind + t) for t in texts]), counts, np.zeros_like(counts))


def test_requests_that_meet_are_one_call_of_the_engine_and_keep_their_own() -> None:
    encoder = CountingEncoder()
    answers = encode_joined(
        encoder, [(["a b", "c"], "document"), (["d"], "document"), (["e", "f g h", "i"], "document")]
    )
    assert encoder.calls == [(6, "document")]
    for answer, texts in zip(answers, (["a b", "c"], ["d"], ["e", "f g h", "i"]), strict=True):
        assert isinstance(answer, EncodedTexts)
        np.testing.assert_array_equal(answer.vectors, np.stack([fake_vector("document" + t) for t in texts]))
        assert answer.n_tokens == [len(t.split()) for t in texts]


def test_queries_and_documents_are_not_mixed() -> None:
    encoder = CountingEncoder()
    answers = encode_joined(encoder, [(["a"], "query"), (["a"], "document"), (["b"], "query")])
    assert sorted(encoder.calls) == [(1, "document"), (2, "query")]
    vectors = [a.vectors[0] for a in answers if isinstance(a, EncodedTexts)]
    np.testing.assert_array_equal(vectors, [fake_vector(t) for t in ("querya", "documenta", "queryb")])


def test_a_text_that_breaks_the_engine_breaks_its_own_request_only() -> None:
    encoder = CountingEncoder()
    good, bad, fine = encode_joined(encoder, [(["a"], "document"), (["b", "poison"], "document"), (["c"], "document")])
    assert isinstance(bad, RuntimeError)
    assert isinstance(good, EncodedTexts)
    assert isinstance(fine, EncodedTexts)
    np.testing.assert_array_equal(fine.vectors, [fake_vector("documentc")])
