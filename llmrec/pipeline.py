"""The stages in order. Each is skipped where its inputs have not changed: its artifact is there already."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from llmrec import bundle, corpus, encoding, experiment, features, reading, registry, training, tuning
from llmrec.config import RunConfig
from llmrec.models.validation import WHOLE
from llmrec.storage import Artifact, ArtifactWriter, Storage
from llmrec.tracking import Tracked, flattened
from llmrec.variants import VALIDATED, trained_variants, variant_to_publish

logger = logging.getLogger(__name__)

STAGES = ("ingest", "tune", "encode", "read", "featurize", "train", "evaluate", "publish")
Reporter = Callable[[str, dict[str, Artifact], float], None]


class MissingStageError(ValueError):
    """A stage was asked for whose parents have not been made."""


@dataclass(frozen=True)
class FinishedStorage(Storage):
    """A storage that only finds: building raises MissingStageError naming the job to run."""

    wanted_by: str = ""

    @contextmanager
    def build(self, stage: str, artifact_id: str, **_: Any) -> Iterator[ArtifactWriter]:
        job = {"corpus": "ingest", "encoder": "tune", "embeddings": "encode", "readings": "read",
               "examples": "featurize", "models": "train", "bundle": "train", "results": "evaluate",
               "report": "evaluate"}.get(stage, stage)  # fmt: skip
        raise MissingStageError(
            f"{self.wanted_by}: needs the artifact {stage}/{artifact_id}, found none under {self.root}; "
            f"expected it from `python -m jobs.{job}` with the same --config and overrides (or run jobs.pipeline)"
        )
        yield  # type: ignore[unreachable]  # makes this a generator, as the parent's is


@dataclass
class Run:
    """One configuration on its way through the stages. `artifacts` fills as they finish."""

    config: RunConfig
    storage: Storage
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)

    @property
    def variants(self) -> tuple[str, ...]:
        """The choices of feature families to train: with the text and, beside it, without."""
        return trained_variants(self.config.features.text)

    def run(self, stage: str) -> dict[str, Artifact]:
        """Run one stage on the parents in `artifacts`; returns what it made."""
        made: dict[str, Artifact] = getattr(self, f"_{stage}")()
        self.artifacts |= made
        return made

    def _ingest(self) -> dict[str, Artifact]:
        return {"corpus": corpus.ingest(self.config, self.storage)}

    def _tune(self) -> dict[str, Artifact]:
        if not self.config.tuning.objectives:
            return {}
        source = self.artifacts["corpus"]
        corpus.vouch(self.config, source)
        made = {"encoder": tuning.tune(self.config, self.storage, source)}
        if self.config.tuning.refit:
            made["encoder.refitted"] = tuning.refitted(self.config, self.storage, source, made["encoder"])
        for n in self.config.tuning.few_pairs:
            few = tuning.with_few_pairs(self.config, n)
            made[f"encoder.{n}_pairs"] = tuning.tune(few, self.storage, source)
        return made

    def _encode(self) -> dict[str, Artifact]:
        corpus.vouch(self.config, self.artifacts["corpus"])
        source, encoder = self.artifacts["corpus"], self.artifacts.get("encoder")
        made = encoding.encode(tuning.with_encoder(self.config, encoder), self.storage, source)
        later = self.artifacts.get("encoder.refitted", encoder)
        if encoder is None or later is None or later.id == encoder.id:
            return {"embeddings": made}
        config = tuning.with_encoder(self.config, later)
        return {
            "embeddings": encoding.encode(config, self.storage, source, earlier=made),
            "embeddings.validation": made,
        }

    def _read(self) -> dict[str, Artifact]:
        if self.config.reading.reader is None:
            return {}
        return {
            "readings": reading.read(self.config, self.storage, self.artifacts["corpus"], self.artifacts["embeddings"])
        }

    def _featurize(self) -> dict[str, Artifact]:
        parents, read = (self.artifacts["corpus"], self.artifacts["embeddings"]), self.artifacts.get("readings")
        features.check_origins(self.config, self.storage, *parents, read)  # they are evaluated hours later
        return {
            f"examples.{fold}": features.featurize(self.config, self.storage, *parents, fold=fold, readings=read)
            for fold in ("validation", "test")
        }

    def _train(self) -> dict[str, Artifact]:
        validation, test = self.artifacts["examples.validation"], self.artifacts["examples.test"]
        made = {}
        for variant, models in training.train(self.config, self.storage, validation, test, self.variants).items():
            made[f"models.{variant}"] = models
            made[f"bundle.{variant}"] = bundle.assemble(self.config, self.storage, test, models)
        return made

    def _evaluate(self) -> dict[str, Artifact]:
        bundles = {variant: self.artifacts[f"bundle.{variant}"] for variant in self.variants}
        parents = self.artifacts["corpus"], self.artifacts["embeddings"]
        read = self.artifacts.get("readings")
        report = experiment.run_study(self.config, self.storage, *parents, bundles, read)
        if not report.reused:
            figures = flattened(report.manifest.info["metrics"], "/")
            Tracked.of(self.config, report.id, "evaluation").curves().figures(figures)
        return {"report": report}

    def _publish(self) -> dict[str, Artifact]:
        variant, why = variant_to_publish(self._validation(), self.artifacts["report"].manifest.info.get("verdict"))
        logger.info("publish: variant %s: %s", variant, why)
        pointer = registry.publish(
            self.storage, self.artifacts[f"bundle.{variant}"], self.config.name, self.config.serving.trust_remote_code
        )
        self.published = pointer | {"variant": variant, "because": why}
        return {}

    def _validation(self) -> dict[str, float]:
        """Variant -> what its lists reached on validation queries."""
        found = {variant: self.artifacts[f"models.{variant}"].manifest.info for variant in self.variants}
        return {variant: info["validation"][WHOLE][VALIDATED] for variant, info in found.items()}


def run_pipeline(config: RunConfig, storage: Storage, report: Reporter, until: str = STAGES[-1]) -> Run:
    """Run every stage up to `until`; `report(stage, artifacts, seconds)` is called after each."""
    run = Run(config, storage)
    for stage in STAGES[: STAGES.index(until) + 1]:
        started = time.perf_counter()
        report(stage, run.run(stage), time.perf_counter() - started)
    return run


def run_stage(config: RunConfig, storage: Storage, stage: str, report: Reporter) -> Run:
    """Run one stage; its parents must be finished, else MissingStageError."""
    run = Run(config, FinishedStorage(storage.root, wanted_by=stage))
    for parent in STAGES[: STAGES.index(stage)]:
        run.run(parent)
    run.storage = storage
    started = time.perf_counter()
    report(stage, run.run(stage), time.perf_counter() - started)
    return run
