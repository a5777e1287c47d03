"""Which bundles a replica holds: the newest and the one before, so that a swap never leaves a request without one."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from serve_app.messages import NotHeld

logger = logging.getLogger("ray.serve.llmrec")  # stderr would come late, as INFO: Serve buffers it


class Versioned(Protocol):
    """What a swapper holds."""

    @property
    def version(self) -> str: ...
    @property
    def encoder(self) -> str | None: ...


M = TypeVar("M", bound=Versioned)


class BundleRefusedError(ValueError):
    """No bundle that was offered can be served."""


@dataclass(frozen=True)
class ModelRepository(Generic[M]):
    """Where bundles come from. Both functions block and may raise whatever storage and loading raise."""

    current: Callable[[], str]  # the version that the registry's CURRENT names
    load: Callable[[str], M]  # loads a version whole and proves that it answers


@dataclass(frozen=True)
class ServedVersion:
    """A deployment's `user_config`: the bundle to serve, and whether to follow CURRENT."""

    bundle: str
    follow_seconds: float = 0.0
    beside: tuple[str, ...] = ()  # more bundles to hold, for those who ask for them by their version


class ModelHotSwapper(Generic[M]):
    """Swaps whole bundles under running requests: load beside the old one, probe it, rebind one attribute."""

    def __init__(self, repository: ModelRepository[M]) -> None:
        self._repository = repository
        self._held: tuple[M, ...] = ()
        self._beside: tuple[M, ...] = ()
        self.refused: dict[str, str] = {}
        self._wanted = ServedVersion("")
        self._followed: str | None = None
        self._swapping = asyncio.Lock()
        self._outdated = asyncio.Event()
        self._follower: asyncio.Task[None] | None = None

    def get(self, version: str | None = None, encoder: str | None = None) -> M | NotHeld:
        """The newest bundle of that version and of that encoder (None: any), or NotHeld with what there is."""
        for model in (*self._held, *(self._beside if version else ())):
            if version in (None, model.version) and (model.encoder is None or encoder in (None, model.encoder)):
                return model
        self._outdated.set()  # somebody has a newer one: look at CURRENT now
        return NotHeld(version or f"encoder {encoder}", tuple(m.version for m in self._held))

    @property
    def held(self) -> tuple[M, ...]:
        """The bundles in memory, the newest first, then those beside."""
        return (*self._held, *(model for model in self._beside if model not in self._held))

    async def serve(self, served: ServedVersion) -> None:
        """Serve `served.bundle`; a bad one is refused, the old one serves on. BundleRefusedError if there is none."""
        first = not self._held
        self._wanted = served
        candidates = [served.bundle]
        if first:  # a replica that restarts long after its deployment: CURRENT first, the deployed one as reserve
            self._followed = await asyncio.to_thread(self._repository.current)
            candidates = [self._followed, served.bundle] if served.follow_seconds else [served.bundle, self._followed]
        for version in dict.fromkeys(candidates):
            if await self._swap_to(version):
                break
        if not self._held:
            raise BundleRefusedError(f"no bundle can be served: {self.refused}; expected at least one whole bundle")
        await self._hold_beside(served.beside)
        if served.follow_seconds and self._follower is None:
            self._follower = asyncio.create_task(self._follow())

    async def _hold_beside(self, versions: tuple[str, ...]) -> None:
        """Raises what loading raises: an experiment without one of its arms is none."""
        async with self._swapping:
            self._beside = tuple([await asyncio.to_thread(self._load, version) for version in versions])

    async def _swap_to(self, version: str) -> bool:
        async with self._swapping:
            if self._held and self._held[0].version == version:
                return True
            try:
                model = await asyncio.to_thread(self._load, version)
            except Exception as error:  # whatever is wrong with it, it must not serve
                self.refused = self.refused | {version: f"{type(error).__name__}: {error}"[:500]}
                logger.error("bundle %s refused: %s", version, error)
                return False
            self.refused = {k: v for k, v in self.refused.items() if k != version}
            self._held = (model, *(m for m in self._held if m.version != version))[:2]
            logger.info("serving bundle %s", version)
            return True

    def _load(self, version: str) -> M:
        held = next((m for m in (*self._held, *self._beside) if m.version == version), None)
        return held or self._repository.load(version)

    async def _follow(self) -> None:
        while self._wanted.follow_seconds:
            try:
                await asyncio.wait_for(self._outdated.wait(), self._wanted.follow_seconds)
                await asyncio.sleep(min(0.2, self._wanted.follow_seconds))  # many requests wake it: look once
            except TimeoutError:
                pass
            self._outdated.clear()
            await self._check_current()
        self._follower = None

    async def _check_current(self) -> None:
        try:
            current = await asyncio.to_thread(self._repository.current)
        except Exception as error:  # storage is away for a while: go on with what is held
            logger.warning("cannot read CURRENT: %s", error)
            return
        if current != self._followed:
            self._followed = current
            await self._swap_to(current)
