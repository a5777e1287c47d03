"""What a run of the stage would read, take and cost, and what its readings look like; nothing is stored."""

import time
from typing import Any

import numpy as np

from llmrec.config import RunConfig
from llmrec.encoding.store.keys import text_keys
from llmrec.encoding.texts.corpus_texts import ids_and_texts
from llmrec.reading.profiles.check import forecast
from llmrec.reading.readers.base import ReadInputs
from llmrec.reading.readers.factory import make_reader, prepare
from llmrec.reading.reading import Reading
from llmrec.reading.store import ReadingStore
from llmrec.storage import Artifact, Storage

#: Texts that are read for the forecast and shown.
SAMPLE = 10
_BATCH = 4_096
_SHOWN_CHARS = 300


def check(config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None) -> dict[str, Any]:
    """Rows, distinct texts, those not read yet, and a forecast of tokens, seconds and money from a sample that is read.

    The forecast is of one reader on this machine; the sample is drawn evenly by the texts' keys. Raises what `read`
    does.
    """
    spec = prepare(ReadInputs(config, storage, corpus, embeddings))
    rows, texts = _texts(corpus, spec.fingerprint)
    keys = sorted(texts)
    missing = ReadingStore(storage.root, spec.fingerprint).missing(keys)
    answer: dict[str, Any] = {"reader": spec.name, "rows": rows, "distinct_texts": len(keys), "to_read": len(missing)}
    if config.reading.profiles.maker is not None:
        answer["profiles"] = forecast(config.reading, storage, corpus)
    if not keys:
        return answer | {"sample": []}
    chosen = [texts[keys[at]] for at in np.unique(np.linspace(0, len(keys) - 1, SAMPLE).astype(np.int64))]
    reader = make_reader(spec)
    reader.encode(chosen[:1])  # what is loaded at the first text is not counted
    started = time.perf_counter()
    made = reader.encode(chosen)
    share = len(missing) / len(chosen)
    tokens = share * int(made.n_tokens.sum()), share * sum(value.output_tokens for value in made.values)
    money = (tokens[0] * config.reading.price_input + tokens[1] * config.reading.price_output) / 1e6
    return answer | {
        "prompt_tokens": round(tokens[0]), "output_tokens": round(tokens[1]), "money": round(money, 4),
        "seconds_of_one_reader": round(share * (time.perf_counter() - started), 1),
        "sample": [_shown(text, value) for text, value in zip(chosen, made.values, strict=True)],
    }  # fmt: skip


def _texts(corpus: Artifact, fingerprint: str) -> tuple[int, dict[str, str]]:
    """(rows, key -> text) of the reviews that have one."""
    rows, found = 0, dict[str, str]()
    for batch in corpus.dataset("reviews").to_batches(batch_size=_BATCH):
        rows += batch.num_rows
        texts = ids_and_texts("review", batch.to_pylist())[1]
        keys = text_keys(fingerprint, texts)
        found |= {key: text for key, text in zip(keys, texts, strict=True) if key is not None}
    return rows, found


def _shown(text: str, reading: Reading) -> dict[str, Any]:
    return {"text": text[:_SHOWN_CHARS], **reading.model_dump(exclude_defaults=True)}
