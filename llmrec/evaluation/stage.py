"""The stage `report`: what was measured, and the pages that show it; an edit of a page measures nothing again."""

from collections.abc import Mapping
from types import MappingProxyType

from llmrec.bundle import BundleFile, model_card
from llmrec.config import RunConfig
from llmrec.evaluation.measure import measure
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report import console
from llmrec.evaluation.report.render import write_report
from llmrec.files import copy_file, write_bytes
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

_STAGE = "report"


def evaluate(
    config: RunConfig,
    storage: Storage,
    corpus: Artifact,
    embeddings: Artifact | None,
    bundles: Mapping[str, Artifact],
    controls: Mapping[str, Artifact] = MappingProxyType({}),
) -> Artifact:
    """The artifact `report` of the variants in `bundles`, beside the tuned baselines.

    `controls`: bundles of `llmrec.experiment`, by name; they join the tables of the `temporal` and `frozen` protocols.

    Holds `results.json`, `report.html`, `model_card.md`, each bundle's card with its test figures
    (`cards/VARIANT.md`) and the lists of `ranking/lists.py`; prints the tables.

    Raises ValueError where a bundle was made from another corpus.
    """
    measured = measure(config, storage, corpus, embeddings, bundles, controls)
    results, parents = Results.model_validate(measured.json("results.json")), {"results": measured.id}
    made = artifact_id(__name__, {}, parents)
    if (found := storage.find(_STAGE, made)) is None:
        with storage.build(_STAGE, made, module=__name__, config={}, parents=parents) as writer:
            _copy(measured, writer)
            write_report(writer.folder, results)
            for variant, bundle in bundles.items():
                write_bytes(writer.uri(f"cards/{variant}.md"), _card(variant, bundle, results).encode())
            writer.info |= summary(results)
        built = storage.find(_STAGE, made)
        assert built is not None
        found = Artifact(built.root, built.manifest)
    console.show(results)
    return found


def _copy(measured: Artifact, writer: ArtifactWriter) -> None:
    """The files of `results`, so that a report is whole by itself; on one disk they are not written again."""
    for record in measured.manifest.files:
        copy_file(f"{measured.root}/{record.path}", writer.uri(record.path.split("/", 1)[1]))


def _card(variant: str, bundle: Artifact, results: Results) -> str:
    """The bundle's own model card, with what this evaluation measured of it."""
    measured = {t.name: m for t in results.tables() for m in t.models if m.name == variant}
    metrics = {table: {k: v.value for k, v in m.metrics.items()} for table, m in measured.items()}
    return model_card(BundleFile.model_validate(bundle.json("bundle.json")), metrics)


def summary(results: Results) -> dict[str, object]:
    """The figures that the console and the pipeline's last line show: table -> model -> metric -> value."""
    return {
        "metrics": {
            t.name: {m.name: {k: round(v.value, 6) for k, v in m.metrics.items()} for m in t.models}
            for t in results.tables()
        },
        "verdict": results.headline.comparison.verdict if results.headline else None,
    }
