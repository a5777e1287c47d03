"""What Ray Train's workers, or this process, run: texts and network are made, the state goes on from where it was."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from llmrec.config import EncoderConfig, SplitConfig, TuningConfig
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.storage import Artifact
from llmrec.tracking import Curves, Tracked
from llmrec.tuning.data import TuningData, make_data
from llmrec.tuning.fit import TuneState, TuneTask, make_queries, run_steps
from llmrec.tuning.folder import refuse_other_pooling
from llmrec.tuning.methods import apply_method
from llmrec.tuning.network import TextNetwork, load_network
from llmrec.tuning.objectives.base import Learning
from llmrec.tuning.objectives.registry import make_objective
from llmrec.tuning.texts import Cut, TuningTexts, read_texts
from llmrec.workers.loop import Report
from llmrec.workers.process_group import ProcessGroup

logger = logging.getLogger(__name__)
_FIT = "tune"


@dataclass(frozen=True)
class TunePlan:
    """All that decides a tuned encoder, and on how many threads of a worker it is made."""

    corpus: Artifact
    encoder: EncoderConfig
    split: SplitConfig
    config: TuningConfig
    seed: int
    threads: int
    tracked: Tracked
    before: Cut = "t1"
    stop: int | None = None  # after so many of the schedule's steps; None: all, or as validation says


def tune_loop(plan: TunePlan, group: ProcessGroup, found: bytes | None, report: Report) -> None:
    """Tune, or go on; input that cannot be used is handed on in the state, for no other worker could use it either."""
    state = TuneState.parse(found)
    if state.done:
        return
    if state.curve:
        logger.info("tune: resuming after step %d", state.step)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    threads = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        task = make_task(plan, read_before_cut(plan), group)
        state.pairs = {kind: n for o in task.objectives.values() for kind, n in getattr(o, "counts", {}).items()}
        curves = plan.tracked.curves() if group.rank == 0 else Curves()
        if state.curve:
            curves.resume(_FIT, state.step)

        def told(now: TuneState) -> None:
            curves.show(_FIT, now.curve, "step")
            report({**now.curve[-1], "best": now.best_metric}, now.dump)

        run_steps(task, state, group, told)
    except ValueError as error:
        failed = TuneState(done=True, failed=str(error))
        report({"failed": str(error)}, failed.dump)
    finally:
        torch.set_num_threads(threads)


def read_before_cut(plan: TunePlan) -> TuningTexts:
    """The texts that the plan's encoder may learn from."""
    return read_texts(plan.corpus, plan.split, plan.encoder, plan.config.max_events, plan.before)


def make_task(plan: TunePlan, texts: TuningTexts, group: ProcessGroup) -> TuneTask:
    """Network, objectives and queries. Raises ValueError, naming what is missing."""
    torch.manual_seed(plan.seed)
    folder = model_folder(plan.encoder.model, plan.encoder.revision)
    network = make_network(plan, folder)
    data: TuningData = make_data(texts, folder, plan.config, plan.seed, plan.encoder.trust_remote_code)
    network.to(group.device)
    learning = Learning(data, network, folder, plan.encoder, group)
    objectives = {name: make_objective(name, learning) for name in plan.config.objectives}
    for objective in objectives.values():
        objective.head.to(group.device)
    return TuneTask(network, objectives, data, make_queries(data), plan.stop)


def make_network(plan: TunePlan, folder: Path) -> TextNetwork:
    """The frozen encoder, with what `tuning.method` adds to it."""
    refuse_other_pooling(folder, plan.encoder)
    network = load_network(plan.encoder, folder, plan.config.dtype, plan.config.dropout)
    apply_method(network, plan.config)
    return network
