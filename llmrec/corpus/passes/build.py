"""The build: both passes over the units, what they counted, and the tables of the artifact."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.events import REVIEW
from llmrec.corpus.formats.names import SETTINGS
from llmrec.corpus.passes.distributed import run_all
from llmrec.corpus.passes.merging.bucket_report import BucketReport
from llmrec.corpus.passes.merging.merge import Origin, even_lengths, merge, relocate, unshare_ids
from llmrec.corpus.passes.shard import Unit, UnitReport, part_uri, quarantine_uri, shard, tables_of
from llmrec.corpus.sanity.portrait import portrait
from llmrec.corpus.sanity.portrait_events import portray_outcome
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
        """`rows_*` are reviews, `items_*` the rows of the item files, and so on for what else there is.

        Of each kind: rows in = rows out + quarantined + merged. `outcomes`: rows of `reviews` that are events.
        """
        counts = {}
        for kind in SETTINGS:
            units = [u for u in self.units if u.unit.kind == kind]
            buckets = [b for b in self.buckets if b.kind == kind]
            prefix, bad = ("rows", "") if kind == "reviews" else (kind, f"{kind}_")
            if units or kind in ("reviews", "items"):
                counts[f"{prefix}_in"] = sum(u.rows_in for u in units)
                counts[f"{prefix}_out"] = sum(b.rows - b.outcomes for b in buckets)
                refused = sum(u.reasons.total() for u in units) + sum(b.copies + b.replaced for b in buckets)
                counts[f"{bad}quarantined"] = refused
            if kind != "reviews" and (units or kind == "items"):
                counts[f"{kind}_merged"] = sum(b.merged for b in buckets)
        if "events_in" in counts:
            counts["outcomes"] = sum(b.outcomes for b in self.buckets)
        return counts

    def parts(self, writer: ArtifactWriter, kind: str) -> list[str]:
        """The parts of a table."""
        return [writer.uri(f"{kind}/part-{b.number:05d}.parquet") for b in self.buckets if b.kind == kind]

    def reasons(self) -> Counter[str]:
        reasons = sum((u.reasons for u in self.units), Counter[str]())
        events = sum(b.copies for b in self.buckets if b.kind == "events")
        copies, replaced = sum(b.copies for b in self.buckets) - events, sum(b.replaced for b in self.buckets)
        return reasons + Counter({"copy": copies, "repeated_pair": replaced, "copied_event": events})


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
    writer.info |= portray_outcome(config, sums.buckets)
    _refuse_empty(config, sums)
    return sums


def _passes(config: CorpusConfig, units: list[Unit], writer: ArtifactWriter, scratch: str, local: bool) -> Sums:
    n_buckets = {kind: _n_buckets(units, kind) for kind in SETTINGS}
    n_buckets["reviews"] = n_buckets["events"] = max(n_buckets["reviews"], n_buckets["events"])  # by user, both alike
    calls = [(config, unit, scratch, n_buckets[unit.kind]) for unit in units]
    sums = Sums(sorted(run_all(shard, calls, local), key=lambda r: r.unit.index))
    origins = _origins(sums.units)
    staged = {kind: [u.unit.index for u in sums.units if u.unit.kind == kind and u.kept] for kind in SETTINGS}

    def parts(kind: str, bucket: int) -> dict[str, list[str]]:
        kinds = ("events", "reviews") if kind == "reviews" else (kind,)
        found = {one: _existing(scratch, one, bucket, staged[one]) for one in kinds}
        return found if any(found.values()) else {}

    merges = [
        (config, found, origins, writer, b)
        for kind, n in n_buckets.items() if kind != "events"
        for b in range(n) if (found := parts(kind, b))
    ]  # fmt: skip
    merged = [report for reports in run_all(_merge_bucket, merges, local) for report in reports]
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
        origins[unit.index] = Origin(unit.source, before[unit.kind, unit.source], unit.logged)
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
    config: CorpusConfig, parts: dict[str, list[str]], origins: dict[int, Origin], writer: ArtifactWriter, bucket: int
) -> list[BucketReport]:
    """One bucket of one kind; the events of the users of a bucket come before their reviews."""
    name, reports, events = f"part-{bucket:05d}.parquet", list[BucketReport](), None
    for kind, found in parts.items():
        if kind == "events" and not found:
            continue
        uris = writer.uri(f"{kind}/{name}"), writer.uri(f"quarantine/{kind}-{name}")
        report, table = merge(config, kind, found, origins, *uris, events)
        events = table if kind == "events" else None
        reports.append(replace(report, number=bucket))
    return reports


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
    for kind in {"items", *(u.unit.kind for u in sums.units)} - {b.kind for b in sums.buckets}:
        writer.write_table(kind, tables_of(config)[kind].empty_table())
    return examples


def _refuse_empty(config: CorpusConfig, sums: Sums) -> None:
    counts = sums.counts()
    if (counts["rows_out"] and config.outcome.kind == REVIEW) or counts.get("outcomes"):
        return
    if config.outcome.kind != REVIEW:
        _refuse_without_outcome(config, sums)
    reasons = ", ".join(f"{n} {reason}" for reason, n in sums.reasons().most_common(5)) or "the input holds no rows"
    first = next((f"; first: {e[C.SOURCE]}:{e[C.LINE]}: {e[C.DETAIL]}" for e in sums.examples), "")
    if not counts["rows_in"]:
        raise ValueError(f"corpus: no row in {_sizes(sums.units)}: empty, or a header alone; expected at least one")
    advice = "" if "_format." in first else "; name the right `source`, or map the columns (corpus.columns)"
    raise ValueError(
        f"corpus: no usable review among {counts['rows_in']} rows ({reasons}){first}; expected at least one{advice}"
    )


def _sizes(units: list[UnitReport]) -> str:
    files = {u.unit.file.path: u.unit.file.size for u in units if u.unit.file and u.unit.kind == "reviews"}
    return ", ".join(f"{path} ({size:,} bytes)" for path, size in list(files.items())[:5]) or "the input"


def _refuse_without_outcome(config: CorpusConfig, sums: Sums) -> None:
    kinds = sum((b.kinds for b in sums.buckets), Counter[str]())
    found = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common(8)) or "no event"
    least = "" if config.outcome.at_least is None else f" with a value of at least {config.outcome.at_least:g}"
    first = next((f"; first refused row: {e[C.SOURCE]}:{e[C.LINE]}: {e[C.DETAIL]}" for e in sums.examples), "")
    raise ValueError(
        f"corpus: no event is the outcome, {config.outcome.kind}{least}: found {found}; expected at least one; set "
        f"corpus.outcome, or say in corpus.event_kinds what the files call it{first}"
    )
