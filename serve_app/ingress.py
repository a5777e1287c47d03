"""The deployment that faces HTTP."""

from typing import Any, cast

from ray import serve
from starlette.types import ASGIApp

from llmrec.config import ServingConfig
from serve_app.api import make_api
from serve_app.messages import EncoderApi, RankerApi, RetrieverApi
from serve_app.service import Handle, RecommendationService


@serve.ingress()
class Ingress:
    """Composes Encoder, Retriever and Ranker by their handles."""

    def __init__(self, encoder: Any, retriever: Any, ranker: Any, config: ServingConfig, digest: bytes | None) -> None:
        self._digest = digest
        self._engine = RecommendationService(
            cast(EncoderApi, Handle(encoder)), cast(RetrieverApi, Handle(retriever)), cast(RankerApi, Handle(ranker)),
            config,
        )  # fmt: skip

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return make_api(self._engine, self._digest)
