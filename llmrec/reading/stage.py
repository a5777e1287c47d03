"""The stage `read`: every review of a corpus has its reading in the store and a row in the table, or an error there."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from llmrec.config import ReviewReadingConfig, RunConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding.store.keys import keys_array
from llmrec.encoding.texts.corpus_texts import fragments
from llmrec.encoding.texts.templates import review_text
from llmrec.files import files_of, filesystem, write_bytes, write_json, write_parquet
from llmrec.reading.page import ASPECTS, AspectPage
from llmrec.reading.profiles.stage import make_profiles
from llmrec.reading.readers.base import ReaderSpec, ReadInputs
from llmrec.reading.readers.factory import make_reader, module_of, prepare
from llmrec.reading.reading import Reading
from llmrec.reading.settings import ENGINES, deciding, job_settings, learns_from_stars
from llmrec.reading.store import ReadingStore
from llmrec.schema import READINGS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

if TYPE_CHECKING:
    from llmrec.encoding.job.distributed import Totals

STAGE = "readings"
#: The reader, as a bundle takes it along.
READER = "reader.json"
_NOTHING = Reading(error="the review has no text")


def read(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None = None, *, factory: Any = None
) -> Artifact:
    """Read what the store does not hold yet. `embeddings` is needed by the reader `head` alone.

    `factory` makes an actor's reader from its spec and is `make_reader` but in tests. Raises ValueError for a reader
    that cannot be made, EncodingError where it fails on everything, OSError.
    """
    assert config.reading.reader is not None
    sections = {"reading": _decisive(config.reading), "split": config.split.model_dump()}
    parents = {a.manifest.stage: a.id for a in (corpus, embeddings) if a is not None}
    also = (module_of(config.reading.reader),)
    made = artifact_id(__name__, sections, parents, also)
    if (found := storage.find(STAGE, made)) is not None:
        return found
    spec = prepare(ReadInputs(config, storage, corpus, embeddings))
    with storage.build(STAGE, made, module=__name__, also=also, config=sections, parents=parents) as writer:
        _fill(spec, storage, corpus, writer, factory or make_reader)
        if learns_from_stars(config.reading):
            writer.info["learned_before"] = review_cutoffs(corpus, config.split).t1
        if config.reading.profiles.maker is not None:
            writer.counts.update(make_profiles(config, storage, corpus, _needed(embeddings), writer))
    finished = storage.find(STAGE, made)
    assert finished is not None
    return Artifact(finished.root, finished.manifest)


def _decisive(settings: ReviewReadingConfig) -> dict[str, Any]:
    """The settings that decide the content: how a model is named counts, and what profiles are made of."""
    profiled = settings.profiles.maker == "generate"
    named = {"model", "revision", "prompt"} if settings.reader in ENGINES or profiled else set()
    named |= {"max_output_tokens", "dtype"} if profiled else set()
    kept = {**deciding(settings), **settings.model_dump(include=named)}
    return kept | ({"profiles": settings.profiles.model_dump()} if settings.profiles.maker is not None else {})


def _needed(embeddings: Artifact | None) -> Artifact:
    if embeddings is None:
        raise ValueError("reading.profiles: profiles need the encoder, whose vectors they become; run encode")
    return embeddings


def _fill(spec: ReaderSpec, storage: Storage, corpus: Artifact, writer: ArtifactWriter, factory: Any) -> None:
    from llmrec.encoding.job.distributed import encode_corpus  # Ray, only where it is used

    started = time.monotonic()
    store = ReadingStore(storage.root, spec.fingerprint)
    found = [fragment for fragment in fragments(corpus) if fragment.kind == "review"]
    worker = partial(factory, spec)
    settings = job_settings(spec.settings, spec.name in ENGINES)
    totals = encode_corpus(found, settings, store, writer.uri("text_keys"), writer.uri("scratch"), worker, stage="read")
    scale = corpus.manifest.info.get("scale", {})
    page = AspectPage(scale.get("liked_from", 4), scale.get("disliked_to", 2))
    reviews = _reviews(corpus)
    folders = writer.uri("text_keys"), writer.uri("readings")
    counts = write_readings(store, *folders, totals.failures, partial(_show, page, reviews))
    facts = {"reader": spec.name, "texts": totals.unique, "read": totals.encoded} | counts | _cost(spec, totals, counts)
    write_bytes(writer.uri(ASPECTS), page.html(facts).encode())
    write_json(writer.uri(READER), spec.served())
    rows = sum(fragment.n_rows for fragment in found)
    writer.counts.update(rows_in=rows, rows_out=rows, quarantined=0, **counts)
    writer.info.update(
        fingerprint=spec.fingerprint, reader=spec.name, texts=totals.unique, read=totals.encoded,
        cache_hits=totals.hits, n_tokens=totals.n_tokens,
        seconds=time.monotonic() - started, read_seconds=totals.encode_seconds,
    )  # fmt: skip


def _cost(spec: ReaderSpec, totals: "Totals", counts: dict[str, int]) -> dict[str, float]:
    """Of all texts, whenever they were read; seconds of this run."""
    tokens, written = totals.n_tokens, counts["output_tokens"]
    money = (tokens * spec.settings.price_input + written * spec.settings.price_output) / 1e6
    return {"prompt_tokens": tokens, "seconds": totals.encode_seconds, "money": money}


def write_readings(
    store: ReadingStore, keys_uri: str, target: str, failures: dict[str, tuple[str, str]],
    seen: Callable[[dict[str, Any]], None],
) -> dict[str, int]:  # fmt: skip
    """A part of `readings` for each part of `text_keys`; rows with an error, spans that were dropped, tokens written.

    `seen` is told every row, in order of the reviews.
    """
    fs, path = filesystem(keys_uri)
    names = [uri.rpartition("/")[2] for uri in files_of(keys_uri)]
    failed = dropped = written = 0
    for name in names or [""]:
        keys = pq.read_table(f"{path}/{name}", filesystem=fs) if name else pa.table({"id": [], C.KEY: []})
        rows = _rows(store, keys, failures)
        for row in rows:
            seen(row)
        failed += sum(row["error"] is not None for row in rows)
        dropped += sum(row["dropped"] for row in rows)
        written += sum(row["output_tokens"] for row in rows)
        write_parquet(f"{target}/{name or 'part-00000.parquet'}", pa.Table.from_pylist(rows, schema=READINGS))
    return {"failed": failed, "spans_dropped": dropped, "output_tokens": written}


def _reviews(corpus: Artifact) -> Iterator[dict[str, Any]]:
    columns = [C.REVIEW_ID, C.TIMESTAMP, C.STARS, C.TITLE, C.TEXT]
    for batch in corpus.dataset("reviews").to_batches(columns=columns, batch_readahead=1, fragment_readahead=1):
        yield from batch.to_pylist()


def _show(page: AspectPage, reviews: Iterator[dict[str, Any]], row: dict[str, Any]) -> None:
    review = next(reviews)
    assert review[C.REVIEW_ID] == row[C.REVIEW_ID], "readings lie in order of the reviews"
    page.add(row, review[C.TIMESTAMP], review_text(review[C.TITLE], review[C.TEXT]), review[C.STARS])


def _rows(store: ReadingStore, keys: pa.Table, failures: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Rows of READINGS, in order of the reviews."""
    ids, hexes = keys["id"].to_pylist(), keys[C.KEY].to_pylist()
    known = np.flatnonzero([key is not None for key in hexes])
    readings: list[Reading] = [_NOTHING] * len(ids)
    for row, value in zip(known, store.read(keys_array([hexes[row] for row in known])), strict=True):
        readings[row] = value or Reading(error=failures.get(hexes[row], ("not read", ""))[0])
    return [{C.REVIEW_ID: review, **reading.model_dump()} for review, reading in zip(ids, readings, strict=True)]
