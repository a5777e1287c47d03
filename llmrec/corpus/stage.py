"""The stage: raw files in, tables `reviews`, `items`, `quarantine` and what else is given, every row accounted for."""

import tempfile
from typing import Any

from llmrec.config import RunConfig
from llmrec.corpus.passes.build import build, inputs
from llmrec.corpus.passes.plan import plan
from llmrec.corpus.sanity.findings import Finding, Tables, findings, refuse, told
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

STAGE = "corpus"


def ingest(config: RunConfig, storage: Storage) -> Artifact:
    """Read, validate, clean, deduplicate and order the corpus of `config.corpus`.

    Runs on Ray where a cluster is up, else in this process; either way no process holds more than a part of it.
    Raises ValueError or FileNotFoundError where the input cannot be used: no file, no column of times, no good row,
    or more refused rows than `corpus.sanity` allows. What is odd is logged.
    """
    corpus = config.corpus
    units = plan(corpus)
    unused = {"sanity"} | (set() if corpus.source == "sample" else {"sample"})
    described = {"corpus": corpus.model_dump(mode="json", exclude=unused), "inputs": inputs(units)}
    found = storage.find(STAGE, key := artifact_id(__name__, described, {}))
    if not found:
        with storage.build(STAGE, key, module=__name__, config=described, parents={}) as writer:
            build(corpus, units, writer, local=any(u.file and u.file.here_only for u in units))
        made = storage.find(STAGE, key)
        assert made is not None
        found = Artifact(made.root, made.manifest, reused=False)
    refuse([one for one in told(odd(config, found)) if one.limit is not None])
    return found


def odd(config: RunConfig, artifact: Artifact) -> list[Finding]:
    """What is odd about a corpus, or keeps a protocol of this configuration from being run."""
    tables = Tables(artifact.uris("reviews"), artifact.uris("items"), artifact.uris("events"))
    return findings(config, artifact.manifest.counts, artifact.manifest.info, tables)


def vouch(config: RunConfig, artifact: Artifact) -> None:
    """Raise ValueError where the corpus cannot serve this configuration, before anything is paid for."""
    refuse(odd(config, artifact))


def check(config: RunConfig) -> dict[str, Any]:
    """Read the corpus as `ingest` would and report counts, reasons, examples of bad rows, the portrait and what is odd.

    Nothing is written but scratch files in the system's temporary folder, gone at the end.
    """
    units = plan(config.corpus)
    with tempfile.TemporaryDirectory(prefix="llmrec-check-") as folder:
        writer = ArtifactWriter(folder, "check")
        sums = build(config.corpus, units, writer, local=True)
        tables = Tables(sums.parts(writer, "reviews"), sums.parts(writer, "items"), sums.parts(writer, "events"))
        found = told(findings(config, writer.counts, writer.info, tables))
    refuse([one for one in found if one.limit is not None])
    warnings = [one.described() for one in found]
    return {**writer.counts, **writer.info, "examples": sums.examples, "warnings": warnings}
