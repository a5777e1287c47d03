"""The stage: raw files in, tables `reviews`, `items` and `quarantine` out, every row accounted for."""

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from llmrec.config import RunConfig
from llmrec.config.corpus import CorpusConfig
from llmrec.corpus.formats.names import REQUIRED, format_of, mapped, names_of
from llmrec.corpus.passes.distributed import run_all
from llmrec.corpus.passes.merge import BucketReport, Origin, even_lengths, merge, relocate, unshare_ids
from llmrec.corpus.passes.shard import Unit, UnitReport, part_uri, quarantine_uri, shard, tables_of
from llmrec.corpus.readers.files import InputFile, resolve
from llmrec.corpus.readers.records import RecordReader
from llmrec.corpus.sanity.portrait import portrait
from llmrec.files import delete_folder, filesystem
from llmrec.schema import QUARANTINE, C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

log = logging.getLogger(__name__)

STAGE = "corpus"
_BUCKET_BYTES = 256 << 20  # of unpacked input: what one process holds in the second pass
_SPLIT_BYTES = 64 << 20  # a plain JSON-lines file is read in ranges of this size
_UNPACKED = 4  # how much larger packed text and Parquet are once read
_PEEK_ROWS = 1_000
_EXAMPLES = 20


@dataclass
class _Sums:
    """What the passes counted, over all units and buckets."""

    units: list[UnitReport] = field(default_factory=list)
    buckets: list[BucketReport] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """`rows_*` are reviews, `items_*` the rows of the item files."""
        counts = {}
        for kind, prefix in (("reviews", "rows"), ("items", "items")):
            units = [u for u in self.units if u.unit.kind == kind]
            buckets = [b for b in self.buckets if b.kind == kind]
            counts[f"{prefix}_in"] = sum(u.rows_in for u in units)
            counts[f"{prefix}_out"] = sum(b.rows for b in buckets)
            bad = sum(u.reasons.total() for u in units) + sum(b.duplicates for b in buckets)
            counts["quarantined" if kind == "reviews" else "items_quarantined"] = bad
        return counts

    def reasons(self) -> Counter[str]:
        reasons = sum((u.reasons for u in self.units), Counter[str]())
        for bucket in self.buckets:
            name = "duplicate_pair" if bucket.kind == "reviews" else "duplicate_item"
            reasons.update({name: bucket.duplicates} if bucket.duplicates else {})
        return reasons


def ingest(config: RunConfig, storage: Storage) -> Artifact:
    """Read, validate, clean, deduplicate and order the corpus of `config.corpus`.

    Runs on Ray where a cluster is up, else in this process; either way no process holds more than a part of it.
    Raises ValueError or FileNotFoundError where the input cannot be used: no file, no column of times, no good row.
    """
    corpus = config.corpus
    units = plan(corpus)
    unused = set() if corpus.source == "sample" else {"sample"}
    described = {"corpus": corpus.model_dump(mode="json", exclude=unused), "inputs": _inputs(units)}
    if found := storage.find(STAGE, key := artifact_id(__name__, described, {})):
        return found
    with storage.build(STAGE, key, module=__name__, config=described, parents={}) as writer:
        _build(corpus, units, writer, local=any(u.file and u.file.here_only for u in units))
    made = storage.find(STAGE, key)
    assert made is not None
    return Artifact(made.root, made.manifest, reused=False)


def check(config: RunConfig) -> dict[str, Any]:
    """Read the corpus as `ingest` would and report counts, reasons, examples of bad rows and the portrait.

    Nothing is written but scratch files in the system's temporary folder, gone at the end.
    """
    units = plan(config.corpus)
    with tempfile.TemporaryDirectory(prefix="llmrec-check-") as folder:
        writer = ArtifactWriter(folder, "check")
        sums = _build(config.corpus, units, writer, local=True)
    return {**writer.counts, **writer.info, "examples": sums.examples}


def plan(config: CorpusConfig) -> list[Unit]:
    """The units of input, each one task. Raises where files are missing or lack a required column."""
    if config.source == "sample":
        return [Unit(0, "reviews"), Unit(1, "items")]
    units: list[Unit] = []
    for kind, patterns in (("reviews", config.reviews), ("items", config.items)):
        for file in resolve(patterns):
            _require_columns(config, kind, file)
            for start, end in _ranges(file, kind):
                units.append(Unit(len(units), kind, file, format_of(file, kind), start, end))
    return units


def _ranges(file: InputFile, kind: str) -> Iterator[tuple[int, int | None]]:
    splittable = format_of(file, kind).kind == "json" and file.packing is None
    edges = list(range(0, max(1, file.size), _SPLIT_BYTES)) if splittable else [0]
    return zip(edges, [*edges[1:], None], strict=True)


def _inputs(units: list[Unit]) -> list[dict[str, Any]]:
    files = {u.file.path: u.file for u in units if u.file}
    return [{"path": f.path, "bytes": f.size, "mtime_ns": f.mtime_ns} for f in files.values()]


def _require_columns(config: CorpusConfig, kind: str, file: InputFile) -> None:
    reader = RecordReader(file, format_of(file, kind), 0, None, config.max_row_bytes)
    rows = [record.fields for record in islice(reader, _PEEK_ROWS) if record.fields is not None]
    present = {name for row in rows for name in row}
    for ours, theirs in names_of(config, kind).items():
        needed = ours in REQUIRED[kind] or ours in mapped(config, kind)
        if rows and needed and not present & {name.partition(".")[0] for name in theirs} | (present & set(theirs)):
            why = "without a time nothing can be proven leak-free; " if ours == C.TIMESTAMP else ""
            raise ValueError(
                f"corpus: {file.path}: no column for {ours}: expected {' or '.join(theirs)}, found "
                f"{', '.join(sorted(present)[:30])}; {why}name the right `source`, or use source `table` and map "
                f"{ours} to a column of the file"
            )


def _build(config: CorpusConfig, units: list[Unit], writer: ArtifactWriter, local: bool) -> _Sums:
    scratch = f"{writer.root}/scratch-{writer.attempt}"
    try:
        sums = _passes(config, units, writer, scratch, local)
    finally:
        delete_folder(scratch)
    mended = _unshare_ids(config, sums, writer) + _even_lengths(config, sums, writer)
    writer.counts.update(sums.counts())
    writer.info.update(portrait(sums.buckets))
    writer.info["reasons"] = dict(sums.reasons())
    writer.info["repairs"] = dict(sum((u.repairs for u in sums.units), Counter[str]()) + mended)
    writer.info["inputs"] = _inputs(units)
    _refuse_empty(sums)
    return sums


def _passes(config: CorpusConfig, units: list[Unit], writer: ArtifactWriter, scratch: str, local: bool) -> _Sums:
    n_buckets = {kind: _n_buckets(units, kind) for kind in ("reviews", "items")}
    calls = [(config, unit, scratch, n_buckets[unit.kind]) for unit in units]
    sums = _Sums(sorted(run_all(shard, calls, local), key=lambda r: r.unit.index))
    origins = _origins(sums.units)
    merges: list[tuple[CorpusConfig, str, list[str], dict[int, Origin], ArtifactWriter, int]] = []
    for kind, n in n_buckets.items():
        staged = [u.unit.index for u in sums.units if u.unit.kind == kind and u.kept]
        merges += [(config, kind, _existing(scratch, kind, b, staged), origins, writer, b) for b in range(n)]
    merged = run_all(_merge_bucket, [m for m in merges if m[2]], local)
    sums.buckets = sorted(merged, key=lambda b: (b.kind, b.number))
    sums.examples = _keep_bad_rows(config, sums, origins, writer, scratch)
    return sums


def _unshare_ids(config: CorpusConfig, sums: _Sums, writer: ArtifactWriter) -> Counter[str]:
    parts = _parts(sums, writer, "reviews")
    own_ids = config.source == "table" and parts
    return Counter({"review_id_shared": unshare_ids(parts, tables_of(config)["reviews"])} if own_ids else {})


def _even_lengths(config: CorpusConfig, sums: _Sums, writer: ArtifactWriter) -> Counter[str]:
    """Each vector column keeps its most frequent length (of equally frequent ones the larger)."""
    counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for bucket in sums.buckets:
        for name, lengths in bucket.lengths.items():
            counted[name] += lengths
    uneven = {name: max(c, key=lambda length: (c[length], length)) for name, c in counted.items() if len(c) > 1}
    return even_lengths(_parts(sums, writer, "items"), tables_of(config)["items"], uneven) if uneven else Counter()


def _parts(sums: _Sums, writer: ArtifactWriter, kind: str) -> list[str]:
    return [writer.uri(f"{kind}/part-{b.number:05d}.parquet") for b in sums.buckets if b.kind == kind]


def _n_buckets(units: list[Unit], kind: str) -> int:
    files = {u.file.path: u.file for u in units if u.file and u.kind == kind}
    unpacked = sum(f.size * (_UNPACKED if f.packing or f.suffixes[-1:] != [".json"] else 1) for f in files.values())
    return int(-(-unpacked // _BUCKET_BYTES)) or 1


def _origins(reports: list[UnitReport]) -> dict[int, Origin]:
    before: defaultdict[tuple[str, str], int] = defaultdict(int)
    origins = {}
    for report in reports:
        unit = report.unit
        origins[unit.index] = Origin(unit.source, before[unit.kind, unit.source])
        before[unit.kind, unit.source] += report.n_lines
    return origins


def _existing(scratch: str, kind: str, bucket: int, units: list[int]) -> list[str]:
    uris = [part_uri(scratch, kind, bucket, unit) for unit in units]
    if not uris:
        return []
    fs, _ = filesystem(scratch)
    infos = fs.get_file_info([filesystem(uri)[1] for uri in uris])
    return [uri for uri, info in zip(uris, infos, strict=True) if info.type.name == "File"]


def _merge_bucket(
    config: CorpusConfig, kind: str, parts: list[str], origins: dict[int, Origin], writer: ArtifactWriter, bucket: int
) -> BucketReport:
    name, schema = f"part-{bucket:05d}.parquet", tables_of(config)[kind]
    report = merge(kind, schema, parts, origins, writer.uri(f"{kind}/{name}"), writer.uri(f"quarantine/{kind}-{name}"))
    return replace(report, number=bucket)


def _keep_bad_rows(
    config: CorpusConfig, sums: _Sums, origins: dict[int, Origin], writer: ArtifactWriter, scratch: str
) -> list[dict[str, Any]]:
    """Write what was refused while reading, and empty tables where there is nothing; returns a few examples."""
    examples: list[dict[str, Any]] = []
    for report in sums.units:
        if report.reasons:
            index = report.unit.index
            target = writer.uri(f"quarantine/unit-{index:06d}.parquet")
            table = relocate(quarantine_uri(scratch, index), origins[index], target)
            examples += table.slice(0, _EXAMPLES - len(examples)).to_pylist()
    if not sums.reasons():
        writer.write_table("quarantine", QUARANTINE.empty_table())
    if not any(b.kind == "items" for b in sums.buckets):
        writer.write_table("items", tables_of(config)["items"].empty_table())
    return examples


def _refuse_empty(sums: _Sums) -> None:
    counts = sums.counts()
    if counts["rows_out"]:
        return
    reasons = ", ".join(f"{n} {reason}" for reason, n in sums.reasons().most_common(5)) or "the input holds no rows"
    first = next((f"; first: {e[C.SOURCE]}:{e[C.LINE]}: {e[C.DETAIL]}" for e in sums.examples), "")
    raise ValueError(
        f"corpus: no usable review among {counts['rows_in']} rows ({reasons}){first}; expected at least one; name the "
        "right `source`, or map the columns with source `table`"
    )
