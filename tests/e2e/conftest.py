"""A corpus small enough to take the whole way in a test, with every real component."""

import pytest

#: Overrides for configs/quickstart.yaml.
TINY = (
    "corpus.sample.n_users=80",
    "corpus.sample.n_items=150",
    "corpus.sample.n_reviews=700",
    "corpus.sample.skew=1",
    "features.text_dim=16",
    "training.retrievers={two_tower: {epochs: 2}}",
    "training.ranker.queries=100",
    "evaluation.bootstrap=100",
)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides that make the quickstart run tiny."""
    return TINY
