"""The deployments that answer from a bundle. Each is a plain class; `app.build` turns it into a Serve deployment."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from serve_app.hot_swap import ModelHotSwapper, ModelRepository, ServedVersion
from serve_app.messages import (
    By,
    Candidates,
    Floats,
    FoundItems,
    ItemCard,
    ModelDescription,
    NotHeld,
    RankedItems,
    RequestUser,
    TextUse,
    WordsRead,
)
from serve_app.model import ServedModel, item_cards, search

logger = logging.getLogger("ray.serve.llmrec")
#: Between two looks at a log that cannot be read.
_AWAY_S = 1.0


class _ModelDeployment:
    """A deployment that answers from the bundle it holds; `user_config` is an `ServedVersion`."""

    def __init__(self, repository: Callable[[], ModelRepository[ServedModel]]) -> None:
        self._swapper: ModelHotSwapper[ServedModel] = ModelHotSwapper(repository())
        self._listener: asyncio.Task[None] | None = None

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Called by Serve at the start and, while requests run, whenever `user_config` changes."""
        await self._swapper.serve(ServedVersion(**user_config))
        if self._listener is None and any(model.live for model in self._swapper.held):
            self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        """Let every bundle in memory see what the log holds, again and again."""
        while True:
            pause_s = 1.0
            for model in [model for model in self._swapper.held if model.live]:
                assert model.live is not None
                pause_s = model.live.pull_s
                try:
                    await asyncio.to_thread(model.catch_up)
                except Exception as error:  # disk or database are away for a while: answer from what is known
                    logger.error("live events: cannot read the log: %s", error)
                    pause_s = max(pause_s, _AWAY_S)
            await asyncio.sleep(pause_s)

    async def describe(self) -> ModelDescription:
        """The newest bundle held, and what was refused."""
        model = self._swapper.get()
        assert not isinstance(model, NotHeld)  # reconfigure ran first, or the replica did not start
        return model.describe(self._swapper.refused)


class RetrieverDeployment(_ModelDeployment):
    """First stage: the items nearest to a user, or what is popular."""

    async def retrieve(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, version: str | None
    ) -> Candidates | NotHeld:
        """Candidates for the ranker, without what the user had and without `exclude`."""
        model = self._swapper.get(version or user.bundle, user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.retrieve, user, exclude, time)

    async def text_use(self, user_id: str | None, time: int | None) -> TextUse:
        """Whether the newest bundle would read a text of that user at `time` (None: the bundle's own)."""
        model = self._swapper.get()
        assert not isinstance(model, NotHeld)
        if not model.reads_text:
            return "need" if model.bundle.search else "bundle_without_text"
        if user_id is None or not await asyncio.to_thread(_is_known, model, user_id, time):
            return "read" if model.reader is None else "encode_and_read"
        return "need" if model.bundle.search else "known_user"

    async def read(self, text: str, vector: Floats, encoder: str | None) -> WordsRead | NotHeld:
        """What the reader of the bundle of that encoder reads in a text with that vector."""
        model = self._swapper.get(encoder=encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.read, text, vector)

    async def similar(self, item_id: str, k: int, by: By, time: int | None) -> RankedItems:
        """The `k` items nearest to `item_id`; none, and the id under `unknown`, where the bundle does not know it."""
        model = self._swapper.get()
        assert not isinstance(model, NotHeld)
        return await asyncio.to_thread(model.similar, item_id, k, by, time)

    async def cards(self, ids: list[str]) -> list[ItemCard]:
        """What is to be shown of items, in order."""
        model = self._swapper.get()
        assert not isinstance(model, NotHeld)
        return await asyncio.to_thread(item_cards, model.bundle, ids)

    async def some_users(self) -> list[str]:
        """Ids of users who have many reviews, to choose from."""
        model = self._swapper.get()
        assert not isinstance(model, NotHeld)
        return await asyncio.to_thread(model.some_users)

    async def search(self, user: RequestUser, time: int | None, k: int) -> FoundItems | NotHeld | None:
        """The `k` items that answer the user's wish best; None where the bundle has no search index."""
        model = self._swapper.get(encoder=user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(search, model, user, time, k)


class RankerDeployment(_ModelDeployment):
    """Second stage: candidates by the click model."""

    async def order(self, user: RequestUser, candidates: Candidates, k: int) -> RankedItems | NotHeld:
        """The `k` best of what the retriever found, by the bundle that found them."""
        model = self._swapper.get(candidates.provenance.bundle)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.order, user, candidates, k)

    async def rank(self, user: RequestUser, candidates: list[str], time: int | None) -> RankedItems | NotHeld:
        """The known ones of `candidates`, by the probability of a click."""
        model = self._swapper.get(encoder=user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.rank, user, candidates, time)


class RecommenderDeployment(RetrieverDeployment, RankerDeployment):
    """Both stages on one copy of the bundle, in one call."""

    async def recommend(
        self, user: RequestUser, exclude: tuple[str, ...], time: int | None, k: int
    ) -> tuple[RankedItems, int] | NotHeld:
        """The `k` best items, without what the user had and `exclude`, and how many candidates there were."""
        model = self._swapper.get(user.bundle, user.encoder)
        return model if isinstance(model, NotHeld) else await asyncio.to_thread(model.recommend, user, exclude, time, k)


def _is_known(model: ServedModel, user_id: str, time: int | None) -> bool:
    """Whether the user has a history at `time`."""
    at = np.array([model.as_of if time is None else time])
    return bool(model.history.users_at(model.history.user_rows([user_id]), at).count[0] > 0)
