"""A bundle whose encoder was fitted on the corpus carries that encoder, so that a server speaks the same space."""

import numpy as np

from llmrec.bundle import Bundle
from llmrec.encoding import load_vectors, make_encoder, review_text
from llmrec.pipeline import Run


def test_a_bundle_encodes_fresh_text_as_its_corpus_was(small_run: Run) -> None:
    made = small_run.artifacts
    bundle = Bundle.load(made["bundle.text"].root)
    encoder = make_encoder(bundle.encoder)
    assert encoder.fingerprint == bundle.encoder_fingerprint
    reviews = made["corpus"].table("reviews").slice(0, 20)
    texts = [review_text(r["title"], r["text"]) for r in reviews.to_pylist()]
    held, present = load_vectors(small_run.storage, made["embeddings"], "review", reviews["review_id"].to_pylist())
    assert present.tolist() == [bool(text) for text in texts]
    np.testing.assert_allclose(encoder.encode(texts).vectors[present], held[present], atol=1e-6)
