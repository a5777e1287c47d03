"""Which bundle a replica holds: swaps, refusals, following CURRENT, restarts."""

import asyncio
from dataclasses import dataclass, field

import pytest

from serve_app.hot_swap import BundleRefusedError, ModelHotSwapper, ModelRepository, ServedVersion
from serve_app.messages import NotHeld


@dataclass
class Loaded:
    """A bundle that only says what it is."""

    version: str
    encoder: str | None = "e"


@dataclass
class Shelf:
    """A registry in memory. Names that begin with `bad` cannot be loaded; `away` is storage that does not answer."""

    current: str = "a"
    away: bool = False
    loads: list[str] = field(default_factory=list)

    def repository(self) -> ModelRepository[Loaded]:
        return ModelRepository(self._current, self._load)

    def _current(self) -> str:
        if self.away:
            raise OSError("no route to the object store")
        return self.current

    def _load(self, version: str) -> Loaded:
        self.loads.append(version)
        if version.startswith("bad"):
            raise ValueError(f"{version} is cut off")
        return Loaded(version, "other" if version == "alien" else "e")


def version(swapper: ModelHotSwapper[Loaded], wanted: str | None = None) -> str | None:
    found = swapper.get(wanted)
    return None if isinstance(found, NotHeld) else found.version


def test_a_swap_keeps_the_bundle_before_and_forgets_the_one_before_that() -> None:
    async def story() -> None:
        swapper = ModelHotSwapper(Shelf().repository())
        await swapper.serve(ServedVersion("a"))
        await swapper.serve(ServedVersion("b"))
        assert (version(swapper), version(swapper, "a"), version(swapper, "b")) == ("b", "a", "b")
        await swapper.serve(ServedVersion("c"))
        assert swapper.get("a") == NotHeld("a", ("c", "b"))

    asyncio.run(story())


def test_going_back_loads_nothing_anew() -> None:
    shelf = Shelf()

    async def story() -> None:
        swapper = ModelHotSwapper(shelf.repository())
        for wanted in ("a", "b", "a", "b", "b"):
            await swapper.serve(ServedVersion(wanted))
            assert version(swapper) == wanted

    asyncio.run(story())
    assert shelf.loads == ["a", "b"]


def test_a_bad_bundle_is_refused_with_its_reason_and_the_old_one_serves_on() -> None:
    async def story() -> None:
        swapper = ModelHotSwapper(Shelf().repository())
        await swapper.serve(ServedVersion("a"))
        await swapper.serve(ServedVersion("bad"))
        assert version(swapper) == "a"
        assert swapper.refused == {"bad": "ValueError: bad is cut off"}
        await swapper.serve(ServedVersion("b"))
        assert version(swapper) == "b"

    asyncio.run(story())


def test_without_any_good_bundle_the_replica_does_not_start() -> None:
    async def story() -> None:
        with pytest.raises(BundleRefusedError, match="bad is cut off"):
            await ModelHotSwapper(Shelf("bad2").repository()).serve(ServedVersion("bad"))

    asyncio.run(story())


@pytest.mark.parametrize(
    ("current", "ordered", "follow", "served"),
    [("b", "a", 1.0, "b"), ("b", "a", 0.0, "a"), ("bad", "a", 1.0, "a"), ("b", "bad", 0.0, "b")],
)
def test_a_restarted_replica_takes_what_the_others_serve(
    current: str, ordered: str, follow: float, served: str
) -> None:
    async def story() -> None:
        swapper = ModelHotSwapper(Shelf(current).repository())
        await swapper.serve(ServedVersion(ordered, follow_seconds=follow))
        assert version(swapper) == served

    asyncio.run(story())


def test_vectors_of_an_encoder_meet_the_bundle_that_was_made_with_it() -> None:
    async def story() -> None:
        swapper = ModelHotSwapper(Shelf().repository())
        await swapper.serve(ServedVersion("a"))
        await swapper.serve(ServedVersion("alien"))
        found = [swapper.get(encoder=e) for e in ("e", "other", None)]
        assert [f.version for f in found if isinstance(f, Loaded)] == ["a", "alien", "alien"]
        assert swapper.get(encoder="third") == NotHeld("encoder third", ("alien", "a"))

    asyncio.run(story())


async def _until(swapper: ModelHotSwapper[Loaded], wanted: str) -> None:
    async with asyncio.timeout(5):
        while version(swapper) != wanted:
            await asyncio.sleep(0.01)


def test_a_published_bundle_is_followed_and_a_bad_one_is_not() -> None:
    shelf = Shelf()

    async def story() -> None:
        swapper = ModelHotSwapper(shelf.repository())
        await swapper.serve(ServedVersion("a", follow_seconds=0.02))
        for published, served in (("b", "b"), ("a", "a"), ("bad", "a"), ("c", "c")):
            shelf.current = published
            await _until(swapper, served)
        shelf.current = "bad"
        await asyncio.sleep(0.2)
        assert version(swapper) == "c"
        assert shelf.loads.count("bad") <= 2  # once each time it is published, not at every look

    asyncio.run(story())


def test_storage_that_is_away_stops_nothing() -> None:
    shelf = Shelf()

    async def story() -> None:
        swapper = ModelHotSwapper(shelf.repository())
        await swapper.serve(ServedVersion("a", follow_seconds=0.02))
        shelf.away = True
        await asyncio.sleep(0.1)
        assert version(swapper) == "a"
        shelf.away, shelf.current = False, "b"
        await _until(swapper, "b")

    asyncio.run(story())


def test_a_request_for_a_version_not_held_makes_the_replica_look_at_once() -> None:
    shelf = Shelf()

    async def story() -> None:
        swapper = ModelHotSwapper(shelf.repository())
        await swapper.serve(ServedVersion("a", follow_seconds=3600))
        await asyncio.sleep(0)
        shelf.current = "b"
        assert isinstance(swapper.get("b"), NotHeld)
        await _until(swapper, "b")

    asyncio.run(story())


def test_a_redeployment_may_stop_the_following() -> None:
    shelf = Shelf()

    async def story() -> None:
        swapper = ModelHotSwapper(shelf.repository())
        await swapper.serve(ServedVersion("a", follow_seconds=0.02))
        await swapper.serve(ServedVersion("a", follow_seconds=0))
        shelf.current = "b"
        await asyncio.sleep(0.1)
        assert version(swapper) == "a"

    asyncio.run(story())
