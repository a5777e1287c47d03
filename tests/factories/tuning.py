"""A tiny random encoder beside MiniLM's tokenizer, and small corpora, for the tests of tuning."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.config import EncoderConfig, RunConfig, SampleConfig
from llmrec.corpus.sample import generate
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.storage import Artifact, Storage
from llmrec.tuning.texts import TuningTexts

SAMPLE = SampleConfig(n_users=60, n_items=40, n_reviews=600, text_share=0.7, skew=1.0, seed=3)


def tiny_bert(folder: Path) -> Path:
    """Two layers of 32 numbers; what it says of texts is random."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_folder("default"))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=128,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tuning_config(model: Path, root: Path, **tuning: Any) -> RunConfig:
    """A few steps of a tiny encoder, in this process unless `workers` says otherwise."""
    settings = {
        "objectives": {"contrastive": 1.0}, "workers": 0, "steps": 4, "batch_size": 16, "validate_every": 2,
        "validation_queries": 20, "dtype": "float32", "learning_rate": 1e-3, "threads_per_worker": 1, "max_tokens": 32,
    }  # fmt: skip
    encoder = EncoderConfig(model=str(model), max_tokens=64)
    return RunConfig.model_validate({"storage": str(root), "encoding": {"encoder": encoder.model_dump()},
                                     "tuning": settings | tuning})  # fmt: skip


@lru_cache
def _sample() -> tuple[pa.Table, pa.Table]:
    made = generate(SAMPLE)
    return made.reviews, made.items


def sample_corpus(
    storage: Storage, name: str = "sample", edit: Callable[[pa.Table], pa.Table] = lambda t: t
) -> Artifact:
    """The artifact `corpus` of a small built-in corpus, its reviews edited."""
    reviews, items = _sample()
    with storage.build("corpus", name, module="llmrec.corpus", config={}, parents={}) as writer:
        writer.write_table("reviews", edit(reviews))
        writer.write_table("items", items)
    found = storage.find("corpus", name)
    assert found is not None
    return found


def texts_of(rows: list[tuple[int, int, int, float]], n_items: int, cut: int = 1000) -> TuningTexts:
    """Of (user, item, time, stars) in order of time; review r reads "review r", item i "item i"."""
    user, item, time, stars = (np.array(column) for column in zip(*rows, strict=True))
    texts = [f"review {n}" for n in range(len(rows))] + [f"item {n}" for n in range(n_items)]
    stars = stars.astype(float)
    return TuningTexts(user, item, time, stars, np.isnan(stars) | (stars >= 4), texts, n_items, cut)
