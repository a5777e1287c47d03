"""A finished evaluation, read from what it left: its results, its targets, and each model's lists."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from llmrec.evaluation.records.results import RESULTS, Results
from llmrec.evaluation.records.tables import Protocol
from llmrec.evaluation.statistics.bootstrap import mean_over_seeds
from llmrec.features.asof.interactions import Floats, Ints
from llmrec.files import filesystem, read_bytes
from llmrec.models.metrics import RANKING, parse, ranking
from llmrec.schema import C
from llmrec.storage import MANIFEST, Artifact, Storage

TRUTH = "truth.parquet"
_TRUTH = pa.schema([(C.QUERY_ID, pa.int64()), (C.USER_ID, pa.string()), (C.ITEM_ID, pa.string()),
                    (C.TIMESTAMP, pa.int64())])  # fmt: skip
_LISTS = pa.schema([(C.QUERY_ID, pa.int64()), (C.ITEM_ID, pa.string()), (C.RANK, pa.int32())])


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
        first = protocol == self.results.protocols[0].name  # its files lie at the top: see `ranking.lists`
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

    def numbers(self, column: str) -> Ints:
        """(Q,) a number for each query's user, or its first target, in order of query id."""
        _, first = np.unique(self.truth[C.QUERY_ID].to_numpy(), return_index=True)
        number = self.truth[column].combine_chunks().dictionary_encode().indices.to_numpy()
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
