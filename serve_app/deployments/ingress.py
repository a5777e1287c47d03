"""The deployment that faces HTTP."""

from typing import Any, cast

from fastapi import FastAPI
from ray import serve

from llmrec.config import ServingConfig
from serve_app.api import make_api
from serve_app.handles import HandleClient
from serve_app.intake import Intake, IntakeSettings
from serve_app.messages import EncoderClient, RankerClient, RecommenderClient, RetrieverClient
from serve_app.middleware.keys import ApiKey, open_key_ring
from serve_app.operator import Console, ConsoleSettings
from serve_app.service import RecommendationService
from serve_app.trials import ExposureSettings, Recorder, Trials


@serve.ingress()
class IngressDeployment:
    """Composes Encoder, Retriever and Ranker by their handles; in layout `fused` the last two are one."""

    def __init__(
        self,
        encoder: Any,
        retriever: Any,
        ranker: Any,
        config: ServingConfig,
        keys: tuple[ApiKey, ...],
        intake: IntakeSettings | None = None,
        exposures: ExposureSettings | None = None,
        console: ConsoleSettings | None = None,
    ) -> None:
        """`intake`: None where live events are off; `exposures`: None where they are not logged."""
        self._console = Console(console) if console else None
        self._keys = open_key_ring(config, keys)
        self._service = RecommendationService.over(
            cast(EncoderClient, HandleClient(encoder)),
            cast(RetrieverClient, HandleClient(retriever)),
            cast(RankerClient, HandleClient(ranker)),
            config,
            cast(RecommenderClient, HandleClient(retriever)) if config.layout == "fused" else None,
            Intake(intake, cast(EncoderClient, HandleClient(encoder))) if intake else None,
            Trials(config.experiments, Recorder(exposures)) if exposures else None,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return make_api(self._service, self._keys, self._console)

    async def drain(self) -> int:
        """Refuse what is new and wait for what is under way; returns how many requests did not end in time."""
        return await self._service.traffic.drain(self._service.config.request_timeout_s)
