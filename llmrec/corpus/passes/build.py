"""The build: both passes over the units, what they counted, and the tables of the artifact."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from llmrec.config.corpus import CorpusConfig
from llmrec.corpus.passes.bucket_report import BucketReport
from llmrec.corpus.passes.distributed import run_all
from llmrec.corpus.passes.merge import Origin, even_lengths, merge, relocate, unshare_ids
from llmrec.corpus.passes.shard import Unit, UnitReport, part_uri, quarantine_uri, shard, tables_of
from llmrec.corpus.sanity.portrait import portrait
from llmrec.files import delete_folder, filesystem
from llmrec.schema import QUARANTINE, C
from llmrec.storage import ArtifactWriter

BUCKET_BYTES = 256 << 20  # of unpacked input: what one process holds in the second pass
_UNPACKED = 4  # how much larger packed text and Parquet are once read
_EXAMPLES = 20


@dataclass
class Sums:
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
            bad = sum(u.reasons.total() for u in units) + sum(b.copies + b.replaced for b in buckets)
            counts["quarantined" if kind == "reviews" else "items_quarantined"] = bad
        return counts | {"items_merged": sum(b.merged for b in self.buckets)}

    def parts(self, writer: ArtifactWriter, kind: str) -> list[str]:
        """The parts of a table."""
        return [writer.uri(f"{kind}/part-{b.number:05d}.parquet") for b in self.buckets if b.kind == kind]

    def reasons(self) -> Counter[str]:
        reasons = sum((u.reasons for u in self.units), Counter[str]())
        copies, replaced = sum(b.copies for b in self.buckets), sum(b.replaced for b in self.buckets)
        return reasons + Counter({"copy": copies, "repeated_pair": replaced})


def inputs(units: list[Unit]) -> list[dict[str, Any]]:
    """The files of the units: path, bytes and time of change, which tell whether one has changed."""
    files = {u.file.path: u.file for u in units if u.file}
    return [{"path": f.path, "bytes": f.size, "mtime_ns": f.mtime_ns} for f in files.values()]


def build(config: CorpusConfig, units: list[Unit], writer: ArtifactWriter, local: bool) -> Sums:
    """Read the units into the artifact's tables; counts and portrait go to `writer`. Raises ValueError for no row."""
    scratch = f"{writer.root}/scratch-{writer.attempt}"
    try:
        sums = _passes(config, units, writer, scratch, local)
    finally:
        delete_folder(scratch)
    mended = _unshare_ids(config, sums, writer) + _even_lengths(config, sums, writer)
    writer.counts.update(sums.counts())
    writer.info.update(portrait(sums.buckets))
    writer.info["scale"] = {
        "lowest": config.stars_min, "highest": config.stars_max,
        "liked_from": config.liked_from, "disliked_to": config.disliked_to,
    }  # fmt: skip
    writer.info["formats"] = {u.file.path: u.form.describe() for u in units if u.file}
    writer.info["reasons"] = dict(sums.reasons())
    writer.info["repairs"] = dict(sum((u.repairs for u in sums.units), Counter[str]()) + mended)
    writer.info["inputs"] = inputs(units)
    _refuse_empty(sums)
    return sums


def _passes(config: CorpusConfig, units: list[Unit], writer: ArtifactWriter, scratch: str, local: bool) -> Sums:
    n_buckets = {kind: _n_buckets(units, kind) for kind in ("reviews", "items")}
    calls = [(config, unit, scratch, n_buckets[unit.kind]) for unit in units]
    sums = Sums(sorted(run_all(shard, calls, local), key=lambda r: r.unit.index))
    origins = _origins(sums.units)
    merges: list[tuple[CorpusConfig, str, list[str], dict[int, Origin], ArtifactWriter, int]] = []
    for kind, n in n_buckets.items():
        staged = [u.unit.index for u in sums.units if u.unit.kind == kind and u.kept]
        merges += [(config, kind, _existing(scratch, kind, b, staged), origins, writer, b) for b in range(n)]
    merged = run_all(_merge_bucket, [m for m in merges if m[2]], local)
    sums.buckets = sorted(merged, key=lambda b: (b.kind, b.number))
    sums.examples = _keep_bad_rows(config, sums, origins, writer, scratch)
    return sums


def _unshare_ids(config: CorpusConfig, sums: Sums, writer: ArtifactWriter) -> Counter[str]:
    parts = sums.parts(writer, "reviews")
    own_ids = config.source == "table" and parts
    return Counter({"review_id_shared": unshare_ids(parts, tables_of(config)["reviews"])} if own_ids else {})


def _even_lengths(config: CorpusConfig, sums: Sums, writer: ArtifactWriter) -> Counter[str]:
    """Each vector column keeps its most frequent length (of equally frequent ones the larger)."""
    counted: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for bucket in sums.buckets:
        for name, lengths in bucket.lengths.items():
            counted[name] += lengths
    uneven = {name: max(c, key=lambda length: (c[length], length)) for name, c in counted.items() if len(c) > 1}
    return even_lengths(sums.parts(writer, "items"), tables_of(config)["items"], uneven) if uneven else Counter()


def _n_buckets(units: list[Unit], kind: str) -> int:
    files = {u.file.path: (u.file.size, u.form) for u in units if u.file and u.kind == kind}
    unpacked = sum(
        size * (1 if form.kind == "json" and not form.packing else _UNPACKED) for size, form in files.values()
    )
    return int(-(-unpacked // BUCKET_BYTES)) or 1


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
    name = f"part-{bucket:05d}.parquet"
    report = merge(config, kind, parts, origins, writer.uri(f"{kind}/{name}"), writer.uri(f"quarantine/{kind}-{name}"))
    return replace(report, number=bucket)


def _keep_bad_rows(
    config: CorpusConfig, sums: Sums, origins: dict[int, Origin], writer: ArtifactWriter, scratch: str
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


def _refuse_empty(sums: Sums) -> None:
    counts = sums.counts()
    if counts["rows_out"]:
        return
    reasons = ", ".join(f"{n} {reason}" for reason, n in sums.reasons().most_common(5)) or "the input holds no rows"
    first = next((f"; first: {e[C.SOURCE]}:{e[C.LINE]}: {e[C.DETAIL]}" for e in sums.examples), "")
    advice = "" if "_format." in first else "; name the right `source`, or map the columns (corpus.columns)"
    raise ValueError(
        f"corpus: no usable review among {counts['rows_in']} rows ({reasons}){first}; expected at least one{advice}"
    )
