"""Which arm of which experiment answers a request, and whether it may go on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from llmrec.config.serving.experiments import ArmConfig, ExperimentConfig
from llmrec.exposures import ServedList
from llmrec.trials.allocation import arm_of
from llmrec.trials.guard_rails import RecentRequests, starved
from llmrec.trials.team_draft import team_draft
from serve_app.errors import ApiError
from serve_app.messages import RankedItems
from serve_app.schemas.requests import Explore, RecommendRequest
from serve_app.trials.recorder import Recorder

#: How a request is answered, by that bundle where one is named.
Answer = Callable[[RecommendRequest, str | None], Awaitable[RankedItems]]
#: Seconds between two looks at the feedback of arms.
_LOOK_S = 10.0


@dataclass(frozen=True)
class Part:
    """A request's place in an experiment; `arm` is the one that answers, after guards had their say."""

    name: str
    experiment: ExperimentConfig
    arm: str


class Trials:
    """The experiments of a configuration, with a recorder of what they show."""

    def __init__(self, experiments: dict[str, ExperimentConfig], recorder: Recorder) -> None:
        self.experiments, self.recorder = experiments, recorder
        self._recent = {
            (name, arm): RecentRequests(e.guards) for name, e in experiments.items() for arm in e.arms
        }  # fmt: skip

    async def recommend(self, request: RecommendRequest, answer: Answer) -> RankedItems:
        """The answer of the user's arm, recorded; requests without a user id take part in nothing."""
        now, part = int(time.time() * 1000), self._part(request.user_id)
        nothing = ServedList("", "", 0, "", ())
        if part is None:
            found = await answer(request, None)
            return self.recorder.record(found, request.user_id, now, _drawn(nothing, request))
        shown = replace(nothing, experiment=part.name)
        if part.experiment.design == "interleaving" and not self._stopped(part):
            found, teams = await self._interleaved(part, request, answer)
            shown, arm = replace(shown, teams=teams), "interleaved"
        else:
            asked = _as_arm(request, part.experiment.arms[part.arm])
            found = await self._watched(part, part.arm, asked, answer)
            shown, arm = _drawn(replace(shown, arm=part.arm), asked), part.arm
        return replace(self.recorder.record(found, request.user_id, now, shown), arm=f"{part.name}/{arm}")

    def _part(self, user_id: str | None) -> Part | None:
        if user_id is None:
            return None
        arms = ((name, e, arm_of(name, e, user_id)) for name, e in self.experiments.items())
        found = next((Part(name, e, arm) for name, e, arm in arms if arm is not None), None)
        if found is None or (found.name, found.arm) not in self.recorder.stopped:
            return found
        return None  # nor do they join another arm: what the stopped one showed them goes on working

    def _stopped(self, part: Part) -> bool:
        return any((part.name, arm) in self.recorder.stopped for arm in part.experiment.arms)

    async def _watched(self, part: Part, arm: str, asked: RecommendRequest, answer: Answer) -> RankedItems:
        started, failed = time.perf_counter(), True
        try:
            found = await answer(asked, part.experiment.arms[arm].bundle)
            failed = False
            return found
        except ApiError as error:
            failed = error.status_code >= 500
            raise
        finally:
            recent = self._recent[part.name, arm]
            recent.seen(time.perf_counter() - started, failed)
            if arm != part.experiment.control and (why := recent.broken()):
                await self._stop(part.name, arm, why)

    async def _interleaved(
        self, part: Part, request: RecommendRequest, answer: Answer
    ) -> tuple[RankedItems, tuple[str, ...]]:
        arms = part.experiment.arms
        asked = ((arm, _as_arm(request, settings)) for arm, settings in arms.items())
        lists = await asyncio.gather(*(self._watched(part, arm, own, answer) for arm, own in asked))
        items, teams = team_draft(lists[0].item_ids, lists[1].item_ids, request.k, np.random.default_rng())
        return _drafted(lists, items, teams), tuple(list(arms)[team] for team in teams)

    async def _stop(self, name: str, arm: str, why: str) -> None:
        if (name, arm) not in self.recorder.stopped:
            await self.recorder.stop(name, arm, why)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncIterator[None]:
        """While the application runs, exposures are written and the feedback of arms is looked at."""
        async with self.recorder.lifespan():
            look = asyncio.create_task(self._look())
            yield
            look.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Stop the arms, but no control, whose lists get too little feedback."""
        before = int((time.time() - self.recorder.config.window_s) * 1000)
        for name, experiment in self.experiments.items():
            if experiment.guards.min_feedback_rate is None:
                continue
            for arm in experiment.others:
                counts = await asyncio.to_thread(
                    self.recorder.log.settled, name, arm, before, experiment.guards.least
                )  # fmt: skip
                if why := starved(experiment.guards, *counts):
                    await self._stop(name, arm, why)

    def describe(self) -> dict[str, dict[str, str | None]]:
        """Experiment -> arm -> why it was stopped, None where it runs."""
        return {
            name: {arm: self.recorder.stopped.get((name, arm)) for arm in experiment.arms}
            for name, experiment in self.experiments.items()
        }


def _as_arm(request: RecommendRequest, arm: ArmConfig) -> RecommendRequest:
    """The request with what the arm decides; a request's own seed stays, and a page or a dial goes without chance."""
    changes: dict[str, Any] = {} if arm.need is None else {"need": arm.need}
    if arm.explore is not None and request.cursor is None and request.diversity is None:
        seed = request.explore.seed if request.explore else None
        changes["explore"] = Explore(policy=arm.explore.policy, rate=arm.explore.rate, seed=seed)
    return request.model_copy(update=changes)


def _drawn(shown: ServedList, asked: RecommendRequest) -> ServedList:
    explore = asked.explore
    return shown if explore is None else replace(shown, policy=explore.policy, rate=explore.rate)


def _drafted(lists: list[RankedItems], items: list[str], teams: list[int]) -> RankedItems:
    """Items with the scores and reasons that their own team's list has; no propensities, which are not the list's."""
    places = [lists[team].item_ids.index(item) for item, team in zip(items, teams, strict=True)]
    reasons = [lists[t].reasons[p] for t, p in zip(teams, places, strict=True)] if all(x.reasons for x in lists) else []
    bundles = "+".join(dict.fromkeys(one.provenance.bundle for one in lists))
    return RankedItems(
        replace(lists[0].provenance, bundle=bundles), items,
        [lists[t].scores[p] for t, p in zip(teams, places, strict=True)], reasons=reasons,
    )  # fmt: skip
