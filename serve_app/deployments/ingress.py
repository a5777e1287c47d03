"""The deployment that faces HTTP."""

from typing import Any, cast

from ray import serve
from starlette.types import ASGIApp

from llmrec.config import ServingConfig
from serve_app.api import make_api
from serve_app.messages import EncoderClient, RankerClient, RetrieverClient
from serve_app.service import HandleClient, RecommendationService


@serve.ingress()
class IngressDeployment:
    """Composes Encoder, Retriever and Ranker by their handles."""

    def __init__(self, encoder: Any, retriever: Any, ranker: Any, config: ServingConfig, digest: bytes | None) -> None:
        self._digest = digest
        self._service = RecommendationService(
            cast(EncoderClient, HandleClient(encoder)),
            cast(RetrieverClient, HandleClient(retriever)),
            cast(RankerClient, HandleClient(ranker)),
            config,
        )

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return make_api(self._service, self._digest)
