"""What is known of the deployments without asking for a recommendation: readiness, the bundle, whom one may ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ray.serve.exceptions import BackPressureError

from serve_app.messages import ModelDescription
from serve_app.middleware.traffic import Traffic
from serve_app.service.deployments import Deployments


@dataclass(frozen=True)
class Overview:
    """Looks at the deployments; most of it is remembered for a second."""

    deployments: Deployments
    traffic: Traffic

    async def some_users(self) -> list[str]:
        """Ids of users to choose from; none where the retriever does not answer."""
        return await self.deployments.remember("some_users", self._some_users_or_none)

    async def _some_users_or_none(self) -> list[str]:
        try:
            async with asyncio.timeout(1):
                return await self.deployments.retriever.some_users()
        except Exception:  # the form is shown, whatever the retriever's trouble
            return []

    async def describe(self) -> ModelDescription:
        """What the retriever serves."""
        return await self.deployments.call("describe", self.deployments.retriever.describe)

    async def bundle(self) -> ModelDescription | None:
        """What the retriever served a moment ago; None where it does not answer."""
        return await self.deployments.remember("bundle", self._describe_or_none)

    async def ready(self) -> dict[str, str]:
        """Per part `ok`, `busy` (its queue is full) or what is wrong with it."""
        if self.traffic.draining:
            return {"ingress": "stopping"}
        return await self.deployments.remember("ready", self._states)

    async def _states(self) -> dict[str, str]:
        d = self.deployments
        parts = {"encoder": d.encoder.describe, "retriever": d.retriever.describe, "ranker": d.ranker.describe}
        states = await asyncio.gather(*(_state(describe) for describe in parts.values()))
        return dict(zip(parts, states, strict=True))

    async def _describe_or_none(self) -> ModelDescription | None:
        try:
            async with asyncio.timeout(1):
                return await self.deployments.retriever.describe()
        except Exception:  # metrics are told, whatever the retriever's trouble
            return None


async def _state(describe: Callable[[], Awaitable[object]], patience_s: float = 2.0) -> str:
    try:
        async with asyncio.timeout(patience_s):
            await describe()
    except TimeoutError:
        return f"no answer within {patience_s:g} s"
    except BackPressureError:
        return "busy"
    except Exception as error:  # readiness reports whatever is wrong
        return type(error).__name__
    return "ok"
