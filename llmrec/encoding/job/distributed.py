"""The encode stage on Ray: shuffle texts by shard, drop what the store holds, give the rest to actors by Ray Data.

Texts lie in scratch files between the steps; the driver sees sums and the names of files, whatever the corpus's size.
An actor asks the store again before it encodes a batch, so that a batch which Ray runs twice, or which a second job has
done meanwhile, is not paid again.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from llmrec.config import EncodingConfig
from llmrec.encoding.encoders.encoder import EncodingError
from llmrec.encoding.job.bisect import TextWorker, encode_surviving
from llmrec.encoding.job.missing import (
    GRAINS,
    Missing,
    batches,
    find_missing,
    n_parts,
    schedule_batches,
    shuffle_fragment,
)
from llmrec.encoding.job.placement import Node, plan
from llmrec.encoding.job.progress import EncodeProgress
from llmrec.encoding.store.content_store import ContentStore
from llmrec.encoding.store.keys import keys_array, prefix_width
from llmrec.encoding.texts.corpus_texts import Fragment
from llmrec.files import delete_folder
from llmrec.schema import Column as C
from llmrec.tasks import StarvedError, data_context, gather, live_nodes

log = logging.getLogger(__name__)

#: Makes an actor's encoder, or its reader.
MakeWorker = Callable[..., TextWorker]

_FAILURE = pa.struct([pa.field(C.KEY, pa.string()), pa.field(C.DETAIL, pa.string()), pa.field(C.RAW, pa.string())])
_RESULTS = pa.schema(
    [pa.field(name, pa.int64()) for name in ("raced", "encoded", C.N_TOKENS, C.N_UNKNOWN)]
    + [pa.field(name, pa.float64()) for name in ("started", "committed")]
    + [pa.field("failures", pa.list_(_FAILURE))]
)
_RAW_CHARS = 2000
_PARTS_A_SHARD = 16  # above that a shard is compacted


@dataclass
class Totals:
    """Sums over a run: `unique` texts = `hits` in the store + `encoded` + failures. Tokens are those of all texts."""

    unique: int = 0
    hits: int = 0
    n_tokens: int = 0
    n_unknown: int = 0
    encoded: int = 0
    started: float = math.inf  # of the first batch, Unix seconds
    committed: float = -math.inf  # of the last one
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> (message, text)

    @property
    def encode_seconds(self) -> float:
        """From the first batch's start to the last commit."""
        return max(self.committed - self.started, 0.0)


def encode_corpus(
    fragments: Sequence[Fragment],
    config: EncodingConfig,
    store: ContentStore,
    keys_uri: str,
    scratch: str,
    factory: MakeWorker,
    *,
    stage: str = "encode",
) -> Totals:
    """Bring every text of `fragments` into `store`; writes the `text_keys` parts under `keys_uri`.

    `scratch` is a folder that every node can write to; it is gone afterwards. `stage`: what the console calls it.
    Raises EncodingError where the encoder fails on everything, OSError where the storage does.
    """
    if not fragments:
        return Totals()
    width = prefix_width(sum(f.n_rows for f in fragments))
    try:
        parts = _misses(fragments, config, store, keys_uri, scratch, width)
        unique, hits, n_tokens, n_unknown = (
            sum(part.sums[name] for part in parts) for name in ("unique", "hits", C.N_TOKENS, C.N_UNKNOWN)
        )
        totals = Totals(unique, hits, n_tokens, n_unknown)
        log.info("%s: %d texts, %d of them in the store", stage, totals.unique, totals.hits)
        if totals.unique > totals.hits:
            _encode_missing(parts, config, store, width, factory, totals, stage)
            _compact(store)
        return totals
    except StarvedError as error:
        raise EncodingError(str(error)) from None
    except ray.exceptions.RayError as error:
        raise _plain(error) from error
    finally:
        delete_folder(scratch)


def _compact(store: ContentStore) -> None:
    """Merge shards of many small parts, which runs of few new texts leave behind."""
    task = ray.remote(type(store).compact)
    ray.get([task.remote(store, prefix, _PARTS_A_SHARD) for prefix in store.prefixes()])


def _context() -> Any:
    context = data_context()
    context.wait_for_min_actors_s = 600
    context.execution_no_progress_timeout_s = 1800  # an error, where it would hang
    return context


# ---------------------------------------------------------------------- what is missing
def _misses(
    fragments: Sequence[Fragment],
    config: EncodingConfig,
    store: ContentStore,
    keys_uri: str,
    scratch: str,
    width: int,
) -> list[Missing]:
    parts = n_parts(sum(f.n_rows for f in fragments), config.batch_texts, width)
    laid = [f"{scratch}/texts-{at:06d}.arrow" for at in range(len(fragments))]
    scan, find = ray.remote(shuffle_fragment), ray.remote(find_missing)
    gather(
        [
            scan.remote(fragment, config.encoder, store.fingerprint, width, f"{keys_uri}/{at:06d}", laid[at], parts)
            for at, fragment in enumerate(fragments)
        ],
        "encode",
    )
    rows, target = max(1, config.batch_texts // GRAINS), f"{scratch}/missing"
    return gather([find.remote(store, laid, at, f"{target}-{at:04d}.arrow", rows) for at in range(parts)], "encode")


# ---------------------------------------------------------------------- encoding it
class EncodeActor:
    """One encoder in one process: encodes what is still missing of a batch, commits it, returns its sums."""

    def __init__(
        self, config: EncodingConfig, store: ContentStore, width: int, threads: int, factory: MakeWorker
    ) -> None:
        self._store, self._width = store, width
        self._encoder = factory(
            config.encoder, threads, batch_tokens=config.batch_tokens, tensor_parallel=config.tensor_parallel
        )
        if self._encoder.fingerprint != store.fingerprint:
            raise EncodingError(
                f"the encoder of this actor has fingerprint {self._encoder.fingerprint}, the driver's store "
                f"{store.fingerprint}: the model's files differ between the nodes; bring the same model to each"
            )

    def __call__(self, work: pa.Table) -> Iterator[pa.Table]:
        """Rows of `schedule_batches` → one row of _RESULTS for each batch of the encoder."""
        for item in work.to_pylist():
            for batch in batches(item["runs"]):
                yield self._encode_missing(batch)

    def _encode_missing(self, batch: pa.Table) -> pa.Table:
        """(key, text) rows → one row of _RESULTS."""
        keys = batch.column(C.KEY).to_pylist()
        todo = np.ones(len(keys), np.bool_)
        for done, _ in self._store.lookup(keys_array(keys), columns=[]):
            todo[done] = False
        rows = batch.filter(pa.array(todo))
        return self._encode(rows.column(C.KEY).to_pylist(), rows.column(C.TEXT).to_pylist(), int((~todo).sum()))

    def _encode(self, keys: list[str], texts: list[str], raced: int) -> pa.Table:
        started = time.time()
        outcome = encode_surviving(self._encoder, texts)
        sums: dict[str, float] = {"raced": raced, "encoded": len(outcome.rows), C.N_TOKENS: 0, C.N_UNKNOWN: 0}
        if outcome.rows:
            done = outcome.encoded
            self._store.commit([keys[r] for r in outcome.rows], done, self._width)
            sums |= {C.N_TOKENS: int(done.n_tokens.sum()), C.N_UNKNOWN: int(done.n_unknown.sum())}
        failures = [
            {C.KEY: keys[row], C.DETAIL: message, C.RAW: texts[row][:_RAW_CHARS]}
            for row, message in outcome.failures.items()
        ]
        sums |= {"started": started, "committed": time.time()}
        return pa.Table.from_pylist([sums | {"failures": failures}], schema=_RESULTS)


def _encode_missing(
    parts: Sequence[Missing],
    config: EncodingConfig,
    store: ContentStore,
    width: int,
    factory: MakeWorker,
    totals: Totals,
    stage: str,
) -> None:
    import ray.data  # takes seconds, and a run that finds everything in the store does not need it

    to_encode = totals.unique - totals.hits
    placement = plan(config, _nodes(), math.ceil(to_encode / config.batch_texts))
    log.info("%s: %d texts to go, %s", stage, to_encode, placement)
    items = schedule_batches(parts, placement.actors)
    with ray.data.DataContext.current(_context()), EncodeProgress(to_encode, totals.hits, stage) as progress:
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            EncodeActor,
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=placement.actors, max_tasks_in_flight_per_actor=2),
            num_cpus=placement.cpus,
            num_gpus=placement.gpus or None,
            fn_constructor_args=(config, store, width, placement.threads, factory),
        )
        for row in results.iter_rows():
            _count(row, totals)
            progress.add(row["encoded"], row[C.N_TOKENS], totals.encode_seconds)


def _plain(error: Exception) -> Exception:
    """What a task or an actor raised, without the layers that Ray puts around it."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, EncodingError):
        return cause
    if isinstance(cause, OSError) and cause.errno is not None:
        return OSError(cause.errno, f"{cause.strerror}; what was committed is kept: mend it and run again")
    return EncodingError(f"encoding stopped; what was committed is kept. {_last_line(error)}")


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _count(row: dict[str, Any], totals: Totals) -> None:
    totals.hits += row["raced"]
    totals.encoded += row["encoded"]
    totals.n_tokens += row[C.N_TOKENS]
    totals.n_unknown += row[C.N_UNKNOWN]
    totals.started = min(totals.started, row["started"])
    totals.committed = max(totals.committed, row["committed"])
    totals.failures |= {f[C.KEY]: (f[C.DETAIL], f[C.RAW]) for f in row["failures"]}


def _nodes() -> list[Node]:
    return [Node(n.get("CPU", 0.0), n.get("GPU", 0.0), n.get("memory", float("inf"))) for n in live_nodes()]
