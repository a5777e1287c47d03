"""What profiles would take and cost; nothing is made."""

from typing import Any

import numpy as np

from llmrec.config import ReviewReadingConfig
from llmrec.encoding.store.keys import text_keys
from llmrec.reading.profiles.generate import prepare_writer, prompt_tokens
from llmrec.reading.profiles.stage import maker_of
from llmrec.reading.profiles.versions import spoken_of, versions_of
from llmrec.reading.store import ProfileStore
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

_SAMPLE = 100  # documents that are tokenised


def forecast(settings: ReviewReadingConfig, storage: Storage, corpus: Artifact) -> dict[str, Any]:
    """How many versions there are; of those that a model writes: how many it has not, their tokens and money at most.

    Without a model a version costs the encoder a text, at most. Raises ValueError for a model that generates nothing.
    """
    maker = maker_of(settings)
    rows = list(versions_of(spoken_of(corpus, None, maker), maker, settings.profiles))
    found: dict[str, Any] = {"maker": settings.profiles.maker, "versions": len(rows)}
    if settings.profiles.maker != "generate":
        return found
    spec = prepare_writer(settings)
    texts = [row[C.TEXT] for row in rows]
    keys = {key: text for key, text in zip(text_keys(spec.fingerprint, texts), texts, strict=True) if key is not None}
    missing = ProfileStore(storage.root, spec.fingerprint).missing(sorted(keys))
    places = np.unique(np.linspace(0, len(missing) - 1, _SAMPLE if missing else 0).astype(np.int64))
    chosen = [keys[missing[at]] for at in places]
    prompts = float(np.mean(prompt_tokens(settings, chosen))) * len(missing) if missing else 0.0
    outputs = settings.max_output_tokens * len(missing)
    money = (prompts * settings.price_input + outputs * settings.price_output) / 1e6
    return found | {"to_write": len(missing), "prompt_tokens": round(prompts), "output_tokens_at_most": outputs,
                    "money_at_most": round(money, 4), "sample": chosen[:3]}  # fmt: skip
