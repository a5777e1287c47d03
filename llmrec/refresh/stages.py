"""From what the log gave to a bundle that goes on from the one that serves: the pipeline's stages, on one fold."""

import logging
import time
from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from llmrec import bundle, corpus, encoding, features, reading, training
from llmrec.bundle import BundleFile, refuse_untrusted_code
from llmrec.config import RunConfig, SplitConfig
from llmrec.features.arrays import Ints
from llmrec.live.log_point import LogPoint
from llmrec.refresh.book import Plan
from llmrec.refresh.compare import Asked, least_queries
from llmrec.schema import C
from llmrec.storage import Artifact, Storage

logger = logging.getLogger(__name__)
Report = Callable[[str, dict[str, Artifact], float], None]


class TooFewError(Exception):
    """There are too few events that neither bundle was fitted on."""


def point_of(plan: Plan) -> LogPoint:
    """What of the log the candidate is made with."""
    return LogPoint(log=plan.log, through=plan.through, events=plan.events, held=tuple(sorted(plan.held)))


def make_candidate(
    config: RunConfig, storage: Storage, plan: Plan, serving: Artifact, settings: BundleFile, report: Report
) -> dict[str, Artifact]:
    """Every artifact on the way, by stage; each is found where it was made before.

    Encoded is what the store does not hold yet. The as-of state and the examples of one fold are made anew, from
    stored vectors; reductions, scales and columns are the serving bundle's. Raises TooFewError.
    """
    refuse_untrusted_code(settings, config.serving.trust_remote_code)
    config = _as_served(config, plan, settings)
    made = dict[str, Artifact]()

    def run(stage: str, make: Callable[[], Artifact]) -> Artifact:
        started = time.perf_counter()
        made[stage] = make()
        report(stage, {stage: made[stage]}, time.perf_counter() - started)
        return made[stage]

    rows = run("corpus", lambda: corpus.ingest(config, storage))
    corpus.vouch(config, rows)
    config = config.model_copy(update={"split": split_of(_times(rows), plan.held_out, _cutoff(serving), config)})
    vectors = run("embeddings", lambda: encoding.encode(config, storage, rows))
    _refuse_other_encoder(vectors, settings)
    read = None
    if config.reading.reader is not None:
        read = run("readings", lambda: reading.read(config, storage, rows, vectors))
    examples = run("examples", lambda: features.featurize(config, storage, rows, vectors, "test", read, serving))
    models = run("models", lambda: training.go_on(config, storage, examples, serving))
    run("bundle", lambda: bundle.assemble(config, storage, examples, models, point_of(plan)))
    return made


def held_out(made: dict[str, Artifact]) -> Asked:
    """The outcome's events from the candidate's cut-off on, in order of time."""
    cutoff = made["examples"].manifest.info["cutoff"]
    dataset, late = made["corpus"].dataset("reviews"), pc.field(C.TIMESTAMP) >= cutoff
    asked = late & pc.field(C.OUTCOME) if C.OUTCOME in dataset.schema.names else late
    rows = dataset.to_table([C.USER_ID, C.ITEM_ID, C.TIMESTAMP], asked).sort_by(C.TIMESTAMP)
    return Asked(rows[C.USER_ID].to_pylist(), rows[C.ITEM_ID].to_pylist(), rows[C.TIMESTAMP].to_numpy())


def split_of(times: Ints, n: int, fitted_before: int, config: RunConfig) -> SplitConfig:
    """The cut-off that leaves the `n` newest events out, or those from `fitted_before` (ms) on, where they are fewer.

    Raises TooFewError where fewer than `least_queries` are left.
    """
    times = np.sort(times)
    n = min(n, int((times >= fitted_before).sum()), len(times) - 1)
    n = int((times > times[len(times) - n - 1]).sum())  # events of one moment stay together
    if n < least_queries(config.refresh):
        raise TooFewError(
            f"{n} of the newest events lie where neither bundle was fitted, expected at least "
            f"{least_queries(config.refresh)} (a quarter of refresh.least_events)"
        )
    quantile = (len(times) - n - 0.5) / (len(times) - 1)
    return SplitConfig(validation_quantile=quantile / 2, test_quantile=quantile)


def _as_served(config: RunConfig, plan: Plan, settings: BundleFile) -> RunConfig:
    """The configuration with the log's rows, and the encoder that serves."""
    rows = config.corpus.model_copy(update={"logged": (*config.corpus.logged, *plan.logged)})
    encoder = settings.encoder if settings.encoder_fingerprint else config.encoding.encoder
    return config.model_copy(
        update={"corpus": rows, "encoding": config.encoding.model_copy(update={"encoder": encoder})}
    )


def _times(rows: Artifact) -> Ints:
    times: Ints = rows.table("reviews", [C.TIMESTAMP])[C.TIMESTAMP].to_numpy()
    return times


def _cutoff(serving: Artifact) -> int:
    return int(serving.json("spec/spec.json")["cutoff"])


def _refuse_other_encoder(vectors: Artifact, settings: BundleFile) -> None:
    found, expected = vectors.manifest.info["fingerprint"], settings.encoder_fingerprint
    if expected and found != expected:
        raise ValueError(
            f"jobs.refresh: the encoder's fingerprint is {found}, expected {expected}, the serving bundle's: its model "
            "or its settings changed; run jobs.pipeline"
        )
