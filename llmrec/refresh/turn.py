"""A turn: judge what serves, gather what is new, let the models go on, compare, publish or not."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmrec import registry
from llmrec.bundle import BundleFile, read_settings
from llmrec.bundle_files import bundle_folder
from llmrec.config import RunConfig
from llmrec.features.asof.history_data import HistoryData
from llmrec.live_bundle import besides
from llmrec.refresh.book import Plan, only_one
from llmrec.refresh.compare import Comparison, compared, served_values
from llmrec.refresh.gather import Serving, gather, write
from llmrec.refresh.stages import Report, TooFewError, held_out, make_candidate, point_of
from llmrec.refresh.watch import judge
from llmrec.refresh.work import Refresh
from llmrec.storage import Artifact, Storage

logger = logging.getLogger(__name__)


def take_turn(config: RunConfig, storage: Storage, report: Report) -> dict[str, Any]:
    """One turn; the answer says what came of it, and why. A turn that was cut off goes on where it stood.

    Raises RefreshingError where another process is at it, FileNotFoundError where nothing is published yet.
    """
    work = Refresh(config, storage, report)
    with only_one(work.log):
        pointer = registry.current(storage, config.name)
        if (fell := judge(work, pointer)) is not None:
            return fell
        plan = _unfinished(work, pointer["id"])
        told: dict[str, Any] = {}
        if plan is None:
            plan, told = _planned(work, pointer["id"])
        if plan is None:
            return {"published": None, **told}
        return _carried_out(work, plan)


def _unfinished(work: Refresh, serving: str) -> Plan | None:
    """The last turn, where it was cut off and the same bundle serves."""
    turns = work.book.turns()
    if not turns or work.book.result(turns[-1]) is not None:
        return None
    plan = work.book.plan(turns[-1])
    if plan is None or plan.bundle != serving or plan.log != work.log.identity():
        return None
    logger.info("refresh: turn %d was cut off and goes on", plan.turn)
    return plan


def _planned(work: Refresh, serving: str) -> tuple[Plan | None, dict[str, Any]]:
    """The next turn, its rows written; None where too little is new."""
    turns, settings = work.book.turns(), work.config.refresh
    last = work.book.plan(turns[-1]) if turns else None
    known, point = _serving(work, serving), read_settings(work.bundle(serving).root).log
    log, through = work.log.identity(), work.log.last()
    same = last if last is not None and last.log == log else None
    found, told = gather(work.log, through, known, same, settings)
    n = found.interactions() - (point.events if point is not None and point.log == log else 0)
    told |= {"new_events": n, "through": through}
    if n < settings.least_events:
        return None, told | {"because": f"{n} new events, expected at least {settings.least_events} "
                             "(refresh.least_events)"}  # fmt: skip
    turn = (turns[-1] if turns else 0) + 1
    carried = [] if last is None else [u for u in last.logged if same is None or work.book.folder(last.turn) not in u]
    plan = Plan(
        turn=turn, bundle=serving, log=log, through=through, events=found.interactions(), held=found.held,
        waiting=found.waiting, logged=[*carried, *write(f"{work.book.folder(turn)}/rows", found)],
        held_out=round(settings.held_out * n), told=told,
    )  # fmt: skip
    work.book.open(plan)
    return plan, told


def _serving(work: Refresh, bundle: str) -> Serving:
    """What the log is measured by. Raises ValueError where the bundle was made for another outcome."""
    root, asked = work.bundle(bundle).root, work.config.corpus.outcome
    known = besides(root)
    if known.outcome != asked:
        raise ValueError(
            f"jobs.refresh: found corpus.outcome {asked.model_dump()}, expected {known.outcome.model_dump()}, the "
            "serving bundle's; run jobs.pipeline"
        )
    return Serving(_shares(work.bundle(bundle)), known)


def _shares(bundle: Artifact) -> Mapping[str, float]:
    """Item of the bundle -> its share of the interactions."""
    data = HistoryData.load(f"{bundle_folder(bundle.root)[0]}/history")
    counts = np.bincount(np.asarray(data.item_rows), minlength=len(data.item_ids))[1:]
    shares = counts / max(1, counts.sum())
    return dict(zip(list(data.item_ids)[1:], shares.tolist(), strict=True))


def _carried_out(work: Refresh, plan: Plan) -> dict[str, Any]:
    started, serving = time.perf_counter(), work.bundle(plan.bundle)
    settings: BundleFile = read_settings(serving.root)
    answer: dict[str, Any] = {"turn": plan.turn, "serving": plan.bundle, **plan.told, "published": None}
    try:
        made = make_candidate(work.config, work.storage, plan, serving, settings, work.timed)
    except TooFewError as error:
        return _closed(work, plan, answer | {"because": str(error)})
    found = _compare(work, plan, made, serving)
    answer |= {"candidate": made["bundle"].id, "compared": found.told()}
    tolerance = work.config.refresh.tolerance
    bound = f"{-tolerance * found.other:+.5f}, −refresh.tolerance × that of the bundle that serves"
    if found.no_worse_than(tolerance):
        trusted = work.config.serving.trust_remote_code
        answer["published"] = registry.publish(work.storage, made["bundle"], work.config.name, trusted)
        answer["because"] = f"the interval's lower end, {found.low:+.5f}, is not below {bound}"
    else:
        answer["because"] = f"the interval's lower end, {found.low:+.5f}, is below {bound}"
    roots = {stage: artifact.root for stage, artifact in made.items() if artifact.root != serving.root}
    work.seconds["turn"] = round(time.perf_counter() - started, 2)
    return _closed(work, plan, answer | {"made": roots | {"rows": f"{work.book.folder(plan.turn)}/rows"}})


def _compare(work: Refresh, plan: Plan, made: dict[str, Artifact], serving: Artifact) -> Comparison:
    """The candidate against the bundle that serves, both as they would serve the newest events."""
    started, point = time.perf_counter(), point_of(plan)
    asked = held_out(made).thinned(work.config.refresh.max_queries)
    retrieve = work.config.serving.retrieve
    one, other = (served_values(b, work.file, point, asked, retrieve) for b in (made["bundle"], serving))
    work.seconds["compare"] = round(time.perf_counter() - started, 2)
    return compared(one, other, asked)


def _closed(work: Refresh, plan: Plan, answer: dict[str, Any]) -> dict[str, Any]:
    """Write down what came of the turn, and delete what older ones left."""
    answer = answer | {"seconds_by_stage": work.seconds}
    work.book.close(plan.turn, answer)
    pointer = registry.current(work.storage, work.config.name)
    needed = {pointer["uri"], *(uri.rsplit("/", 1)[0] for uri in plan.logged)}
    if (before := registry.previous(work.storage, work.config.name)) is not None:
        needed.add(before["uri"])
    arms = (arm for experiment in work.config.serving.experiments.values() for arm in experiment.arms.values())
    needed |= {f"{work.storage.root}/bundle/{arm.bundle}" for arm in arms if arm.bundle is not None}
    work.book.forget(work.config.refresh.keep, needed)
    return answer
