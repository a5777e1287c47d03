"""The part of the stage `read` that makes profiles: versions, what a model writes of them, and their vectors."""

from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from llmrec import tasks
from llmrec.config import EncodingConfig, ReviewReadingConfig, RunConfig
from llmrec.encoding import encoder_config, make_encoder, open_store
from llmrec.encoding.store.keys import keys_array, text_keys
from llmrec.encoding.texts.corpus_texts import fragments_of
from llmrec.files import delete_folder, files_of, filesystem, write_parquet
from llmrec.reading.profiles.extractive import Extractive
from llmrec.reading.profiles.generate import Generate, make_writer, prepare_writer, text_of
from llmrec.reading.profiles.versions import Maker, write_versions
from llmrec.reading.settings import job_settings
from llmrec.reading.store import ProfileStore
from llmrec.schema import PROFILES
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage

#: Reviews a task reads at once, about.
PART_REVIEWS = 50_000


def maker_of(settings: ReviewReadingConfig) -> Maker:
    """The maker that `reading.profiles` names."""
    return Generate(settings.profiles.max_tokens) if settings.profiles.maker == "generate" else Extractive()


def make_profiles(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, writer: ArtifactWriter
) -> dict[str, int]:
    """Write the table `profiles`; its texts' vectors lie in the embeddings' store afterwards. What was made and paid.

    Raises what `encode_corpus` raises.
    """
    settings, scratch, target = config.reading, writer.uri("scratch-profiles"), writer.uri("profiles")
    parts = -(-int(corpus.dataset("reviews").count_rows()) // PART_REVIEWS) or 1
    folder = f"{scratch}/documents" if settings.profiles.maker == "generate" else target
    common = corpus, writer.uri("readings"), maker_of(settings), settings.profiles, parts, folder
    made = tasks.parallel_map(write_versions, [(p,) for p in range(parts)], common, stage="read", local=parts == 1)
    counts = {"profiles": sum(made)}
    try:
        if settings.profiles.maker == "generate":
            counts |= _write_with_model(settings, storage, folder, target, scratch)
        counts["profiles_encoded"] = _encode(config, storage, embeddings, target, scratch)
    finally:
        delete_folder(scratch)
    return counts


def _write_with_model(
    settings: ReviewReadingConfig, storage: Storage, folder: str, target: str, scratch: str
) -> dict[str, int]:
    from llmrec.encoding.job.distributed import encode_corpus  # Ray, only where it is used

    spec, documents = prepare_writer(settings), files_of(folder)
    store = ProfileStore(storage.root, spec.fingerprint)
    found, worker = fragments_of("text", documents), partial(make_writer, spec)
    totals = encode_corpus(
        found, job_settings(settings, engine=True), store, f"{scratch}/keys", f"{scratch}/job", worker,
        stage="write profiles",
    )  # fmt: skip
    failed = sum(write_written(store, uri, f"{target}/{uri.rpartition('/')[2]}", totals.failures) for uri in documents)
    return {"profiles_written": totals.encoded, "profiles_failed": failed}


def write_written(store: ProfileStore, documents: str, target: str, failures: dict[str, tuple[str, str]]) -> int:
    """Write a part of `profiles` from what the store holds of a part of the documents; how many failed."""
    fs, path = filesystem(documents)
    rows = pq.read_table(path, filesystem=fs).to_pylist()
    keys = [key or "" for key in text_keys(store.fingerprint, [row[C.TEXT] for row in rows])]
    for row, key, profile in zip(rows, keys, store.read(keys_array(keys)), strict=True):
        row[C.TEXT] = "" if profile is None else text_of(profile)
        row["error"] = failures.get(key, ("not written", ""))[0] if profile is None else profile.error
    write_parquet(target, pa.Table.from_pylist(rows, schema=PROFILES))
    return sum(row["error"] is not None for row in rows)


def _encode(config: RunConfig, storage: Storage, embeddings: Artifact, target: str, scratch: str) -> int:
    """How many texts were paid for: those that the store did not hold."""
    from llmrec.encoding.job.distributed import encode_corpus

    settings: EncodingConfig = config.encoding.model_copy(update={"encoder": encoder_config(embeddings)})
    found, store, keys = fragments_of("text", files_of(target)), open_store(storage, embeddings), f"{scratch}/text-keys"
    return encode_corpus(
        found, settings, store, keys, f"{scratch}/texts", make_encoder, stage="encode profiles"
    ).encoded
