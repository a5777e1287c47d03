"""The encode stage: every review and item of a corpus has its vector in the store, or stands in quarantine."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from llmrec.config import EncodingConfig, RunConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.encoding.encoders.factory import make_encoder
from llmrec.encoding.encoders.fingerprint import encoder_fingerprint, named_content
from llmrec.encoding.encoders.tuned import tuned_before
from llmrec.encoding.job.fit import fitted, needs_fit
from llmrec.encoding.lookup import EARLIER
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.texts.corpus_texts import fragments
from llmrec.files import filesystem
from llmrec.schema import QUARANTINE, TEXT_KEYS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id

log = logging.getLogger(__name__)

STAGE = "embeddings"


def encode(
    config: RunConfig, storage: Storage, corpus: Artifact, *, earlier: Artifact | None = None,
    factory: Any = make_encoder,
) -> Artifact:  # fmt: skip
    """Encode what the store does not hold yet; the artifact ties every review and item to its vector's key.

    `earlier`: the embeddings that fold `validation` reads in its place, by an encoder that learned before T1 alone.
    `factory` makes an actor's encoder and is `make_encoder` but in tests. Raises EncodingError, OSError, ValueError.
    """
    sections = decisive(config)
    parents = {"corpus": corpus.id} | ({EARLIER: earlier.id} if earlier is not None else {})
    made = artifact_id(__name__, sections, parents)
    found = storage.find(STAGE, made)
    if found is not None:
        return found
    encoder = fitted(config.encoding.encoder, config.split, storage, corpus)
    settings = config.encoding.model_copy(update={"encoder": encoder})
    with storage.build(STAGE, made, module=__name__, config=sections, parents=parents) as writer:
        _fill(settings, storage, corpus, writer, factory)
        writer.info["learned_before"] = _learned_before(config, corpus)
    finished = storage.find(STAGE, made)
    assert finished is not None
    return Artifact(finished.root, finished.manifest, reused=False)


def _learned_before(config: RunConfig, corpus: Artifact) -> float | None:
    """The moment (ms) before which all reviews lie that the encoder is known to have learned from."""
    encoder = config.encoding.encoder
    return review_cutoffs(corpus, config.split).t1 if needs_fit(encoder) else tuned_before(encoder)


def decisive(config: RunConfig) -> dict[str, Any]:
    """The settings that decide the content: how many actors ran does not, and T1 does where something is fitted.

    A model that is a folder or a file counts by what it holds, wherever it lies. So does until when a tuned encoder's
    texts reach: said after the vectors were made, it is heard all the same.
    """
    kept = {"encoder", "storage_dtype", "max_unknown_share", "sequence_items"}
    sections: dict[str, Any] = {"encoding": config.encoding.model_dump(mode="json", include=kept)}
    if (content := named_content(config.encoding.encoder)) is not None:
        sections["encoding"]["encoder"]["model"] = f"content {content}"
    if (tuned := tuned_before(config.encoding.encoder)) is not None:
        sections["tuned_before"] = tuned
    return sections | ({"split": config.split.model_dump()} if needs_fit(config.encoding.encoder) else {})


def _fill(config: EncodingConfig, storage: Storage, corpus: Artifact, writer: ArtifactWriter, factory: Any) -> None:
    from llmrec.encoding.job.distributed import encode_corpus  # Ray, only where it is used

    started = time.monotonic()
    store = EmbeddingStore(storage.root, encoder_fingerprint(config.encoder), config.storage_dtype)
    found = fragments(corpus, config.sequence_items)
    totals = encode_corpus(found, config, store, writer.uri("text_keys"), writer.uri("scratch"), factory)
    if not found:
        writer.write_table("text_keys", TEXT_KEYS.empty_table())
    quarantine = _quarantined(writer.uri("text_keys"), totals.failures)
    writer.write_table("quarantine", quarantine)
    rows = sum(fragment.n_rows for fragment in found)
    writer.counts.update(rows_in=rows, rows_out=rows - len(quarantine), quarantined=len(quarantine))
    share = totals.n_unknown / max(totals.n_tokens, 1)
    warning = _unknown_warning(share, config)
    if warning:
        log.warning(warning)
    writer.info.update(
        fingerprint=store.fingerprint, dim=store.dim(), encoder=config.encoder.model_dump(mode="json"),
        storage_dtype=store.dtype, texts=totals.unique, encoded=totals.encoded, cache_hits=totals.hits,
        n_tokens=totals.n_tokens, unknown_share=share, seconds=time.monotonic() - started,
        encode_seconds=totals.encode_seconds, sequence_items=config.sequence_items,
        warnings=[warning] if warning else [],
    )  # fmt: skip


def _quarantined(keys_uri: str, failures: Mapping[str, tuple[str, str]]) -> pa.Table:
    """A QUARANTINE row for every review, item and sequence whose text the encoder refused."""
    if not failures:
        return QUARANTINE.empty_table()
    fs, path = filesystem(keys_uri)
    refused = pc.field(C.KEY).isin(pa.array(list(failures)))
    rows = pds.dataset(path, filesystem=fs, format="parquet").to_table(filter=refused).to_pylist()
    return pa.Table.from_pylist([_quarantine_row(row, *failures[row[C.KEY]]) for row in rows], schema=QUARANTINE)


def _quarantine_row(row: Mapping[str, str], message: str, raw: str) -> dict[str, str]:
    return {
        C.SOURCE: f"encode/{row[C.KIND]}",
        C.REVIEW_ID: row["id"],
        C.REASON: "engine_error",
        C.DETAIL: message,
        C.RAW: raw,
    }


def _unknown_warning(share: float, config: EncodingConfig) -> str | None:
    if share <= config.max_unknown_share:
        return None
    said = f"{share:.1%} of the tokens are unknown to {config.encoder.model} (encoding.max_unknown_share is "
    said += f"{config.max_unknown_share:.1%}): "
    if config.encoder.backend != "vllm":
        return f"{said}it learned its words from the texts before T1, which are too few or unlike the later ones"
    return (
        f"{said}it does not know this corpus's language. Choose a multilingual encoder, or "
        "encoding.encoder.backend=tfidf_svd, which learns its words from the corpus"
    )
