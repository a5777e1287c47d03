"""From nothing to a served answer with readings: a newcomer's words pass through the reader that read the reviews."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from factories.serving import Faulty, Parts
from starlette.testclient import TestClient

from llmrec.bundle import Bundle
from llmrec.config import RunConfig
from llmrec.encoding import make_encoder
from llmrec.pipeline import run_pipeline
from llmrec.reading.served import ServedReader
from llmrec.registry import publish
from llmrec.storage import Storage
from serve_app.deployments.stages import RankerDeployment, RetrieverDeployment
from serve_app.messages import EncodedTexts, TextKind, WordsRead
from serve_app.model import open_repository

#: `configs/reading.yaml`, small: every word that a model sees was read by the word lists.
READ = {
    "name": "read",
    "corpus": {"sample": {"n_users": 40, "n_items": 30, "n_reviews": 300, "text_share": 0.7, "skew": 1.0}},
    "encoding": {"encoder": {"backend": "tfidf_svd", "dimension": 16}},
    "reading": {"reader": "lexicon"},
    "features": {"text_dim": 16, "include": ["text_read*", "item_popularity"]},
    "training": {"workers": 0, "retrievers": ["popularity"], "ranker": {"name": "dcnv2", "epochs": 1}},
}
WORDS = "The battery is excellent and it is quiet. I hate anything noisy."


class Encoder:
    """The encoder deployment's place, by the bundle's own encoder."""

    def __init__(self, bundle: Bundle) -> None:
        self.made = make_encoder(bundle.encoder)

    async def encode(self, texts: list[str], kind: TextKind, urgent: bool) -> EncodedTexts:
        found = self.made.encode(texts)
        return EncodedTexts(self.made.fingerprint, found.vectors, found.n_tokens.tolist(), found.n_unknown.tolist())


class Other:
    """A retriever whose bundle, swapped meanwhile, has another reader."""

    def __init__(self, part: RetrieverDeployment) -> None:
        self.part = part

    def __getattr__(self, method: str) -> Any:
        return getattr(self.part, method)

    async def read(self, *_: Any) -> WordsRead:
        return WordsRead("another reader", np.zeros(1, np.float32))


@pytest.fixture(scope="module")
def parts(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Parts:
    root = str(tmp_path_factory.mktemp("read"))
    config, storage = RunConfig.model_validate(READ | {"storage": root}), Storage(root)
    bundle = run_pipeline(config, storage, lambda *_: None, until="train").artifacts["bundle.text"]
    publish(storage, bundle, config.name)

    def repository() -> Any:
        return open_repository(root, config.name, config.serving.retrieve)

    encoder = Encoder(Bundle.load(bundle.root))
    made = Parts(storage, encoder, RetrieverDeployment(repository), RankerDeployment(repository), config.serving)
    for part in ("retriever", "ranker"):
        asyncio.run(made.serve(part, bundle.id))
    return made


def asked(parts: Parts, also: dict[str, Any] | None = None, **faults: Any) -> Any:
    retriever = Faulty(parts.retriever, **faults) if faults else parts.retriever
    config = parts.config.model_copy(update={"text_timeout_s": 1.0 if faults else 20.0})
    with TestClient(replace(parts, retriever=retriever, config=config).app()) as client:
        answered = client.post("/v1/recommend", json={"text": WORDS, "k": 5} | (also or {}))
    assert answered.status_code == 200, answered.text
    return answered.json()


def test_what_a_newcomer_says_is_read_and_changes_the_answer(parts: Parts) -> None:
    answer = asked(parts)
    assert (answer["basis"], answer["reason"], len(answer["items"])) == ("text", None, 5)
    told = [b for i in asked(parts, {"k": 20, "reasons": True})["items"] for b in i["reasons"]["because"]]
    assert any(
        b["kind"] == "aspects" and re.search(r"reviews? (speak of|praises) its \w+", b["statement"]) for b in told
    )
    unread = asked(replace(parts, retriever=Other(parts.retriever)))
    assert [i["score"] for i in unread["items"]] != [i["score"] for i in answer["items"]]


def test_words_are_read_within_the_time_or_the_answer_says_so(parts: Parts) -> None:
    async def nothing() -> None: ...

    async def stall() -> None:
        await asyncio.sleep(60)

    late = asked(parts, faults=[nothing, stall])  # asked first whether words count, then to read them
    assert (late["basis"], late["reason"], len(late["items"])) == ("text", "reader_unavailable", 5)


def test_the_bundle_holds_its_reader(parts: Parts) -> None:
    held = parts.storage.find("bundle", asked(parts)["bundle"])
    assert held is not None
    assert ServedReader.model_validate(Bundle.load(held.root).settings.reader).name == "lexicon"
