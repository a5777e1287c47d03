"""What is measured: every model answers the same queries, and the artifact `results` holds all that was found."""

import time
from collections.abc import Mapping, Sequence

from llmrec.bundle import BundleFile
from llmrec.catalogue import module_of
from llmrec.config import RunConfig
from llmrec.evaluation.ablation.family_weights import family_weights
from llmrec.evaluation.ablation.stage import family_studies
from llmrec.evaluation.ablation.tuning_study import tuned_encoders, tuning_study
from llmrec.evaluation.data import corpus_facts
from llmrec.evaluation.evaluation_run import EvaluationRun
from llmrec.evaluation.labels.label_tables import measure_labels
from llmrec.evaluation.labels.rankers import baseline_rankers
from llmrec.evaluation.labels.raters import LIKES, STARS
from llmrec.evaluation.progress import told
from llmrec.evaluation.ranking.baselines import baseline_names
from llmrec.evaluation.ranking.protocol_tables import measure_protocol
from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.records.families import FamilyStudy, FusionWeights
from llmrec.evaluation.records.results import ControlResult, Headline, Results, TrainingCurve
from llmrec.evaluation.records.tables import Protocol
from llmrec.evaluation.statistics.power import effort
from llmrec.files import copy_file, write_bytes
from llmrec.reading.page import ASPECTS
from llmrec.storage import Artifact, Storage, artifact_id
from llmrec.variants import NO_TEXT, TEXT

_STAGE = "results"


def measure(
    config: RunConfig,
    storage: Storage,
    corpus: Artifact,
    embeddings: Artifact | None,
    bundles: Mapping[str, Artifact],
    controls: Mapping[str, Artifact],
) -> Artifact:
    """The artifact `results`: `results.json` and the lists and tables that it follows from.

    Raises ValueError where a bundle was made from another corpus.
    """
    read = {
        "evaluation": config.evaluation.model_dump(), "split": config.split.model_dump(), "seed": config.seed,
        "name": config.name, "training": config.training.model_dump(mode="json", exclude={"max_failures"}),
    }  # fmt: skip
    _refuse_others(corpus, bundles)
    parents = {"corpus": corpus.id} | ({"embeddings": embeddings.id} if embeddings else {})
    parents |= {f"bundle.{variant}": bundle.id for variant, bundle in bundles.items()}
    parents |= {f"control.{name}": bundle.id for name, bundle in controls.items()}
    tuned = tuned_encoders(config, storage, corpus)
    parents |= {f"encoder.{name}": encoder.id for name, encoder in tuned.items()}
    also = baseline_modules(config)
    made = artifact_id(__name__, read, parents, also)
    if (found := storage.find(_STAGE, made)) is not None:
        return found
    with storage.build(_STAGE, made, module=__name__, config=read, parents=parents, also=also) as writer:
        started = time.perf_counter()
        with told() as progress:
            e = EvaluationRun(config, storage, corpus, embeddings, bundles, writer, controls, progress, tuned)
            results = _results(e)
        if e.readings is not None:
            copy_file(e.readings.uri(ASPECTS), writer.uri(ASPECTS))
        run = corpus_facts.run_facts(config, made, storage, corpus, bundles, time.perf_counter() - started)
        write_bytes(writer.uri("results.json"), results.model_copy(update={"run": run}).to_json().encode())
    built = storage.find(_STAGE, made)
    assert built is not None
    return Artifact(built.root, built.manifest)


def baseline_modules(config: RunConfig) -> tuple[str, ...]:
    """The modules of the models that tables set beside ours: they are imported by name."""
    size, named = config.evaluation.size, config.evaluation.baselines
    retrievers, rankers = baseline_names(size, named, True), baseline_rankers(size, named, "")
    found = {module_of("retriever", n) for n in retrievers} | {module_of("ranker", n) for n in rankers}
    return tuple(sorted(found | {module_of("rater", n) for n in (*STARS, *LIKES)}))


def _refuse_others(corpus: Artifact, bundles: Mapping[str, Artifact]) -> None:
    """Raises ValueError where a bundle was made from another corpus."""
    for variant, bundle in bundles.items():
        made_from = BundleFile.model_validate(bundle.json("bundle.json")).facts["parents"].get("corpus")
        if made_from not in (None, corpus.id):
            raise ValueError(
                f"bundle {bundle.id} (variant {variant!r}) was made from the corpus {made_from}, found {corpus.id}; "
                "evaluate a bundle on the corpus that it was made from"
            )


def _results(e: EvaluationRun) -> Results:
    tables, headline = [], None
    for place, name in enumerate(e.config.evaluation.protocols):
        table, single = measure_protocol(e, name, "" if place == 0 else f"{name}/")
        tables.append(table)
        if place == 0 and single is not None:
            cost = corpus_facts.seconds_per_1000(e.embeddings.manifest.info) if e.embeddings else None
            base, n, seeds = table.value(NO_TEXT, single.metric), table.n_queries, e.config.evaluation.seeds
            takes = effort(single, base, e.config.evaluation.detect, n, seeds)
            headline = Headline(protocol=name, comparison=single, effort=takes, encoder_seconds_per_1000=cost)
    e.progress("tables of labels")
    labels, gaps = measure_labels(e)
    e.progress("feature families")
    families, weights = _families(e), _family_weights(e)
    e.progress("what tuning was worth" if e.tuned else "the results")
    return Results(
        run=corpus_facts.run_facts(e.config, "", e.storage, e.corpus, e.bundles, 0.0),
        portrait=corpus_facts.portrait(e.config, e.data, e.corpus, e.embeddings),
        headline=headline, protocols=tables, labels=labels, leak_gaps=gaps, families=families,
        family_weights=weights, controls=_controls(e, tables), training_curves=_curves(e),
        tuning=tuning_study(e.config, e.corpus, e.tuned),
    )  # fmt: skip


def _controls(e: EvaluationRun, tables: Sequence[Protocol]) -> list[ControlResult]:
    """`text` against each control, from the comparisons of the first table that has it."""
    found = []
    for name, bundle in e.controls.items():
        for table in tables:
            pair = next((c for c in table.comparisons if (c.model, c.against) == (TEXT, name)), None)
            if pair is not None:
                words = str(bundle.manifest.info.get("variant", ""))
                words = f"{name.replace('_', ' ')} (variant {words})"
                found.append(ControlResult(name=name, description=words, table=table.name, comparison=pair))
                break
    return found


def _families(e: EvaluationRun) -> list[FamilyStudy]:
    examples = e.examples if e.config.evaluation.families else None
    return family_studies(e.config, e.storage, examples) if examples else []


def _family_weights(e: EvaluationRun) -> list[FusionWeights]:
    """One entry a variant whose fusion learned weights, and its file."""
    found = []
    for variant, bundle in e.opened.items():
        examples = e.storage.find("examples", bundle.settings.facts["parents"]["examples"])
        if examples is not None:
            found.append(family_weights(bundle, examples, e.writer.uri(f"family_weights/{variant}.parquet")))
    return [f for f in found if f]


def _curves(e: EvaluationRun) -> list[TrainingCurve]:
    """Loss and metrics after each epoch, from the models that the bundles were made of."""
    found = []
    for variant, bundle in e.bundles.items():
        models = e.storage.find("models", bundle.manifest.parents["models"])
        curves = models.json("curves.json") if models else {}
        for model, folds in curves.items():
            epochs = folds.get("validation", [])
            for metric in sorted({k for row in epochs for k in row} - {"epoch"}):
                points = [Point(x=row["epoch"], y=row[metric]) for row in epochs if metric in row]
                split = "train" if metric == "loss" else "validation"
                found.append(TrainingCurve(model=model, variant=variant, metric=metric, split=split, points=points))
    return found
