"""The study as an artifact, so that an evaluation that is stopped does not make it twice."""

import logging

from llmrec.config import RunConfig
from llmrec.evaluation.ablation.family_rows import StudyRows, all_columns
from llmrec.evaluation.ablation.family_study import study
from llmrec.evaluation.records.families import FamilyStudy
from llmrec.storage import Artifact, Storage, artifact_id

logger = logging.getLogger(__name__)
_STAGE, _FILE = "family_study", "study.json"


def family_studies(config: RunConfig, storage: Storage, examples: Artifact) -> list[FamilyStudy]:
    """One entry a metric, of every column that `examples` (fold `test`) holds; [] where a part has one label only."""
    evaluation = config.evaluation
    read = {
        "selection": config.features.selection.model_dump(), "seed": config.seed, "bootstrap": evaluation.bootstrap,
        "confidence": evaluation.confidence,
    }  # fmt: skip
    parents = {"examples": examples.id}
    made = artifact_id(__name__, {"families": read}, parents)
    if (found := storage.find(_STAGE, made)) is None:
        with storage.build(_STAGE, made, module=__name__, config=read, parents=parents) as writer:
            rows = StudyRows.read(examples, all_columns(examples))
            if not rows.measurable:
                logger.warning("feature families: a part of the rows has one label only; no study")
            studies = (
                study(rows, config.features.selection, evaluation, config.seed, logger.info) if rows.measurable else []
            )
            writer.write_json(_FILE, [s.model_dump() for s in studies])
        found = storage.find(_STAGE, made)
        assert found is not None
    return [FamilyStudy.model_validate(s) for s in found.json(_FILE)]
