"""The tuned encoder in vLLM: the vectors that the trainer would make, and not those of the encoder as it came."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tuning import sample_corpus, tuning_config

from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.storage import Storage
from llmrec.tuning import tune, with_encoder
from llmrec.tuning.gradients import Passes, encode
from llmrec.tuning.network import load_network
from llmrec.workers.process_group import ProcessGroup

SCRIPT = Path(__file__).parent.parent / "encoding_engine_script.py"


@pytest.mark.timeout(300)
def test_vllm_makes_the_trainers_vectors(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    corpus = sample_corpus(storage)
    config = tuning_config(
        model_folder("default"), tmp_path, method="lora", steps=3, batch_size=4, validate_every=3, validation_share=0,
        learning_rate=1e-2,
    )  # fmt: skip
    made = tune(config, storage, corpus)
    encoder = with_encoder(config, made).encoding.encoder
    texts = [text for text in corpus.table("reviews", ["text"])["text"].to_pylist() if text][:40]
    folder = Path(encoder.model)
    ids = Tokenizer(folder, encoder.max_tokens)(texts).ids
    vectors, frozen = (
        encode(load_network(encoder, place, "float32", False), ids, Passes(ProcessGroup(), 8)).numpy()
        for place in (folder, model_folder("default"))
    )
    (tmp_path / "config.json").write_text(encoder.model_dump_json())
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    run = subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "config.json", tmp_path / "texts.json", tmp_path / "out.npz"],
        capture_output=True, text=True, timeout=280, env=os.environ | {"PYTHONPATH": str(SCRIPT.parent.parent)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    served = np.load(tmp_path / "out.npz")["together"]
    assert (served * vectors).sum(1).min() >= 0.9999
    assert (frozen * vectors).sum(1).max() < 0.999 and torch.isfinite(torch.tensor(served)).all()
