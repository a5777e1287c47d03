"""A bundle whose encoder was fitted on the corpus carries that encoder, so that a server speaks the same space."""

from pathlib import Path

import numpy as np

from llmrec.bundle import Bundle
from llmrec.config import RunConfig
from llmrec.encoding import load_vectors, make_encoder, review_text
from llmrec.pipeline import run_pipeline
from llmrec.storage import Storage

CONFIG = {
    "name": "static",
    "corpus": {"sample": {"n_users": 40, "n_items": 40, "n_reviews": 300}},
    "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 16}},
    "features": {"text_dim": 8},
    "training": {"workers": 0, "two_tower": {"epochs": 1}, "ranker": {"epochs": 1}},
}


def test_a_bundle_encodes_fresh_text_as_its_corpus_was(ray_cluster: None, tmp_path: Path) -> None:
    config = RunConfig.model_validate({**CONFIG, "storage": str(tmp_path)})
    made = run_pipeline(config, Storage(str(tmp_path)), lambda *_: None, until="train").artifacts
    bundle = Bundle.load(made["bundle.text"].root)
    encoder = make_encoder(bundle.encoder)
    assert encoder.fingerprint == bundle.encoder_fingerprint
    reviews = made["corpus"].table("reviews").slice(0, 20)
    texts = [review_text(r["title"], r["text"]) for r in reviews.to_pylist()]
    held, present = load_vectors(Storage(str(tmp_path)), made["embeddings"], "review", reviews["review_id"].to_pylist())
    assert present.all()
    np.testing.assert_allclose(encoder.encode(texts).vectors, held, atol=1e-6)
