"""All that an operator looks at, gathered at one moment."""

import asyncio
from dataclasses import dataclass, field

from llmrec.config.serving.experiments import ExperimentConfig
from llmrec.exposures import Tally
from serve_app.messages import ModelDescription
from serve_app.operator.console import Console, LastRefresh, PublishedBundle
from serve_app.operator.figures import RouteFigures, by_label, by_route
from serve_app.service import RecommendationService
from serve_app.trials import Trials


@dataclass(frozen=True)
class EventLag:
    """Of the log: its last entry, the last one that the replica which answered has seen, and what it made of them."""

    last: int
    seen: int
    told: dict[str, int]

    @property
    def behind(self) -> int:
        return max(0, self.last - self.seen)


@dataclass(frozen=True)
class ArmView:
    """An arm of an experiment so far. `stopped`: why, None where it runs."""

    arm: str
    control: bool
    stopped: str | None
    tally: Tally


@dataclass(frozen=True)
class OperatorView:
    """What is shown. `done` and `problem`: what came of what was asked for, in words. `keys`: whether one is wanted."""

    keys: bool = False
    ready: dict[str, str] = field(default_factory=dict)
    model: ModelDescription | None = None
    bundles: tuple[PublishedBundle, ...] = ()
    previous: str | None = None
    routes: tuple[RouteFigures, ...] = ()
    bases: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, int] = field(default_factory=dict)
    lag: EventLag | None = None
    experiments: dict[str, tuple[ArmView, ...]] = field(default_factory=dict)
    refresh: LastRefresh | None = None
    done: str | None = None
    problem: str | None = None


async def look(service: RecommendationService, console: Console, keys: bool) -> OperatorView:
    """The state of everything, now."""
    model = await service.overview.bundle()
    bundles, before, refresh = await asyncio.to_thread(
        lambda: (console.bundles(), console.previous(), console.last_refresh())
    )
    samples = service.metrics.samples()
    return OperatorView(
        keys, await service.overview.ready(), model, tuple(bundles), before, tuple(by_route(samples)),
        by_label(samples, "llmrec_recommendations_total", "basis"),
        by_label(samples, "llmrec_fallbacks_total", "reason"), await _lag(service, model), await _experiments(service),
        refresh,
    )  # fmt: skip


async def _lag(service: RecommendationService, model: ModelDescription | None) -> EventLag | None:
    if service.intake is None or model is None or model.live is None:
        return None
    return EventLag(await asyncio.to_thread(service.intake.last), model.live["sequence"], model.live)


async def _experiments(service: RecommendationService) -> dict[str, tuple[ArmView, ...]]:
    trials = service.trials
    if trials is None:
        return {}
    return {name: await _arms(trials, name, experiment) for name, experiment in trials.experiments.items()}


async def _arms(trials: Trials, name: str, experiment: ExperimentConfig) -> tuple[ArmView, ...]:
    recorder = trials.recorder
    tallies = await asyncio.to_thread(recorder.log.tallies, name, tuple(experiment.arms))
    return tuple(
        ArmView(arm, arm == experiment.control, recorder.stopped.get((name, arm)), tally)
        for arm, tally in tallies.items()
    )
