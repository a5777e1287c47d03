"""Finished evaluations side by side, computed anew from the lists that they left, in pairs.

Two runs are only comparable where they asked the same questions: one corpus, one protocol, the same targets. Anything
else is refused, saying what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from llmrec.config import EvaluationConfig
from llmrec.evaluation.ranking.metrics import RANKING, parse, ranking
from llmrec.evaluation.records.estimates import Comparison, Estimate
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import Protocol
from llmrec.evaluation.report.render import RESULTS
from llmrec.evaluation.statistics.bootstrap import Bootstrap, mean_over_seeds
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.files import filesystem, read_bytes
from llmrec.schema import C
from llmrec.storage import MANIFEST, Artifact, Storage

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TRUTH = "truth.parquet"
_TRUTH = pa.schema([(C.QUERY_ID, pa.int64()), (C.USER_ID, pa.string()), (C.ITEM_ID, pa.string()),
                    (C.TIMESTAMP, pa.int64())])  # fmt: skip
_LISTS = pa.schema([(C.QUERY_ID, pa.int64()), (C.ITEM_ID, pa.string()), (C.RANK, pa.int32())])


class NotComparable(ValueError):
    """The runs did not answer the same questions; the message says what differs."""


@dataclass(frozen=True)
class StoredRun:
    """A report artifact, or a plain folder with the same files. `title` tells it from the others.

    `protocol_name`: whose lists are read; the run's first where None.
    """

    title: str
    root: str
    artifact: Artifact | None
    results: Results
    protocol_name: str | None = None

    def uri(self, name: str) -> str:
        return self.artifact.uri(name) if self.artifact else f"{self.root}/{name}"

    def table(self, name: str, schema: pa.Schema) -> pa.Table:
        """A Parquet file of the protocol. Raises ValueError where it is absent."""
        protocol = self.protocol.name
        first = protocol == self.results.protocols[0].name  # its files lie at the top: see `files.py`
        name = name if first else f"{protocol}/{name}"
        try:
            fs, path = filesystem(self.uri(name))
            return pq.read_table(path, filesystem=fs, columns=schema.names).select(schema.names).cast(schema)
        except FileNotFoundError:
            raise ValueError(f"run {self.title}: no {name} beside {RESULTS}; expected what `evaluate` leaves") from None

    @property
    def protocol(self) -> Protocol:
        """The protocol of the lists."""
        for protocol in self.results.protocols:
            if self.protocol_name in (None, protocol.name):
                return protocol
        held = ", ".join(p.name for p in self.results.protocols) or "none"
        raise ValueError(f"run {self.title}: no protocol {self.protocol_name or ''!r}; it has: {held}")

    @property
    def models(self) -> dict[str, int]:
        """The number of seeds of each model."""
        return {m.name: m.seeds or 1 for m in self.protocol.models}

    @cached_property
    def truth(self) -> pa.Table:
        """Targets in order of query and item."""
        return self.table(TRUTH, _TRUTH).sort_by([(C.QUERY_ID, "ascending"), (C.ITEM_ID, "ascending")])

    def values(self, model: str, metric: str) -> Floats:
        """(Q,) the metric of each query, in order of query id, from the model's lists, averaged over its seeds."""
        name, k = parse(metric)
        if name not in RANKING:
            raise ValueError(f"metric: found {metric!r}, expected one of a single list: {', '.join(RANKING)} at any k")
        query_ids, n_relevant = np.unique(self.truth[C.QUERY_ID].to_numpy(), return_counts=True)
        seeds = [model, *(f"{model}.seed{n}" for n in range(2, self.models[model] + 1))]
        lists = [self.table(f"recommendations/{seed}.parquet", _LISTS) for seed in seeds]
        hits = [_hits(table, self.truth, query_ids, k) for table in lists]
        return mean_over_seeds([ranking(hit, n_relevant, [k], [name])[metric] for hit in hits])

    def users(self) -> Ints:
        """(Q,) a number for each query's user, in order of query id."""
        _, first = np.unique(self.truth[C.QUERY_ID].to_numpy(), return_index=True)
        number = self.truth[C.USER_ID].combine_chunks().dictionary_encode().indices.to_numpy()
        return np.asarray(number[first], np.int64)


def _hits(lists: pa.Table, truth: pa.Table, query_ids: Ints, k: int) -> npt.NDArray[np.bool_]:
    """(Q, k) whether the item at each rank is one of the query's targets."""
    keys = [C.QUERY_ID, C.ITEM_ID]
    listed = lists.filter(pc.less_equal(lists[C.RANK], k))
    found = listed.join(truth.select(keys), keys, join_type="inner")
    hit = np.zeros((len(query_ids), k), bool)
    hit[np.searchsorted(query_ids, found[C.QUERY_ID].to_numpy()), found[C.RANK].to_numpy() - 1] = True
    return hit


def load_run(reference: str, storage: Storage, protocol: str | None = None) -> StoredRun:
    """Find a run by the id of its report artifact, or by the path or URI of its folder. Raises ValueError."""
    places = [reference.rstrip("/"), f"{storage.root}/report/{reference}"]
    for root in places:
        if read_bytes(f"{root}/{MANIFEST}") is not None:
            parent, stage, name = root.rsplit("/", 2) if root.count("/") >= 2 else ("", "", "")
            artifact = Storage(parent or ".").find(stage, name)
            return _stored(reference, root, artifact, protocol)
        if read_bytes(f"{root}/{RESULTS}") is not None:
            return _stored(reference, root, None, protocol)
    raise ValueError(f"run {reference!r}: found neither {MANIFEST} nor {RESULTS} in {' or '.join(places)}; expected "
                     "the id of a report artifact or its folder")  # fmt: skip


def _stored(reference: str, root: str, artifact: Artifact | None, protocol: str | None) -> StoredRun:
    data = read_bytes(artifact.uri(RESULTS) if artifact else f"{root}/{RESULTS}")
    assert data is not None
    try:
        results = Results.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"run {reference!r}: {RESULTS}: {where}: {first['msg']}; was it written by another version "
                         "of llmrec? evaluate again") from None  # fmt: skip
    name = artifact.id if artifact else results.run.id
    return StoredRun(f"{results.run.name}@{name[:8]}", root, artifact, results, protocol)


@dataclass(frozen=True)
class SideBySide:
    """What `compare_runs` found: `estimates[run][model][metric]`, and every run against the first, in pairs."""

    runs: list[StoredRun]
    n_queries: int
    estimates: dict[str, dict[str, dict[str, Estimate]]]
    comparisons: list[Comparison]
    notes: list[str]


def compare_runs(
    runs: Sequence[StoredRun], metrics: Sequence[str] = (), models: Sequence[str] = (), seed: int = 7
) -> SideBySide:
    """Measure the models that all runs share on the same queries, and compare each run with the first.

    `metrics`: the first run's primary one by default; `models`: all shared ones. All comparisons are one family: see
    `statistics.comparisons.compare`. Raises NotComparable, or ValueError where a model or metric is unknown.
    """
    notes = check_comparable(runs)
    first = runs[0]
    metrics = metrics or [first.results.run.primary_metric or EvaluationConfig().primary_metric]
    models = _shared_models(runs, models)
    cells = [(run.title, model, metric) for run in runs for model in models for metric in metrics]
    values = [run.values(model, metric) for run in runs for model in models for metric in metrics]
    stored = first.results.run
    resamples = EvaluationConfig().bootstrap if stored.bootstrap is None else stored.bootstrap
    sampled = dict(zip(cells, Bootstrap(first.users(), resamples, seed).means(values), strict=True))
    pairs = [
        Pair(f"{run.title}:{model}", f"{first.title}:{model}", metric, sampled[run.title, model, metric],
             sampled[first.title, model, metric])
        for run in runs[1:] for model in models for metric in metrics
    ]  # fmt: skip
    estimates = {
        run.title: {m: {k: sampled[run.title, m, k].estimate(stored.confidence) for k in metrics} for m in models}
        for run in runs
    }
    return SideBySide(list(runs), len(values[0]), estimates, compare(pairs, stored.confidence), notes)


def _shared_models(runs: Sequence[StoredRun], wanted: Sequence[str]) -> list[str]:
    shared = [m for m in runs[0].models if all(m in run.models for run in runs)]
    if missing := [m for m in wanted if m not in shared]:
        raise ValueError(f"models {missing} are not in every run; all of them have: {', '.join(shared) or 'none'}")
    if not shared:
        held = "; ".join(f"{run.title}: {', '.join(run.models)}" for run in runs)
        raise ValueError(f"the runs share no model: {held}")
    return list(wanted) or shared


def check_comparable(runs: Sequence[StoredRun]) -> list[str]:
    """Raise NotComparable where two runs were asked different questions; otherwise what a reader should know."""
    if len(runs) < 2:
        raise ValueError(f"compare: found {len(runs)} run, expected at least two")
    titles = [run.title for run in runs]
    if doubled := sorted({t for t in titles if titles.count(t) > 1}):
        raise ValueError(f"compare: {', '.join(doubled)} is given twice; expected different runs")
    notes = [note for run in runs[1:] for note in _check_corpus(runs[0], run)]
    for run in runs[1:]:
        _check_protocol(runs[0], run)
        _check_truth(runs[0], run)
    if not runs[0].truth.num_rows:
        raise NotComparable(f"{runs[0].title}: {TRUTH} holds no target, so there is nothing to compare")
    return notes


#: What two readings of one corpus agree on, whichever code read it.
_PORTRAIT = ("n_reviews", "n_users", "n_items", "first", "last", "stars", "languages", "duplicates", "empty_texts",
             "quarantined")  # fmt: skip
_PROTOCOL = ("name", "information_set", "t1", "t2", "history", "refit", "candidates")


def _differences(a: object, b: object, names: Sequence[str]) -> list[str]:
    return [f"{n} {getattr(a, n)!r} and {getattr(b, n)!r}" for n in names if getattr(a, n) != getattr(b, n)]


def _check_corpus(a: StoredRun, b: StoredRun) -> list[str]:
    """Corpus ids also change with the code that read the files: then the portraits decide."""
    if differ := _differences(a.results.portrait, b.results.portrait, _PORTRAIT):
        raise NotComparable(f"{a.title} and {b.title} read different corpora: {'; '.join(differ)}")
    ids = a.results.run.corpus_id, b.results.run.corpus_id
    if ids[0] == ids[1]:
        return []
    return [f"{a.title} and {b.title} read the corpus with other code or settings (ids {ids[0]} and {ids[1]}); its "
            "portrait and the targets are the same"]  # fmt: skip


def _check_protocol(a: StoredRun, b: StoredRun) -> None:
    if differ := _differences(a.protocol, b.protocol, _PROTOCOL):
        raise NotComparable(f"{a.title} and {b.title} follow different protocols: {'; '.join(differ)}")


def _check_truth(a: StoredRun, b: StoredRun) -> None:
    if a.truth.equals(b.truth):
        return
    sizes = f"{a.truth.num_rows:,} and {b.truth.num_rows:,} targets"
    shared = a.truth.join(b.truth, a.truth.column_names, join_type="inner").num_rows
    raise NotComparable(
        f"{a.title} and {b.title} were asked different questions: {sizes}, {shared:,} of them the same. Evaluate both "
        "with one corpus, split and protocol."
    )
