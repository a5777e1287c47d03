"""The real engine, encoder-only and decoder-only, against plain transformers in float32.

Each in a process of its own, which takes half a minute: the first, as a server answers, is in e2e/test_serving_http.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.engine import BF16_COSINE, TEXTS, cosines, reference_tokens

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.pooling import TOKEN_POOLINGS

SCRIPT = Path(__file__).parent.parent / "encoding_engine_script.py"
REPOSITORY = SCRIPT.parent.parent
MAX_TOKENS = 64


def engine_vectors(config: EncoderConfig, folder: Path) -> dict[str, Any]:
    (folder / "config.json").write_text(config.model_dump_json())
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    run = subprocess.run(
        [sys.executable, SCRIPT, folder / "config.json", folder / "texts.json", folder / "out.npz"],
        capture_output=True, text=True, timeout=280, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return dict(np.load(folder / "out.npz"))


def pooled(tokens: np.ndarray, pooling: str) -> np.ndarray:
    own = {"mean": lambda t: t.mean(axis=0), "cls": lambda t: t[0], "last": lambda t: t[-1]}
    return (own | dict(TOKEN_POOLINGS))[pooling](tokens)


def decoder_at(folder: Path) -> Path:
    """A tiny random Qwen3 decoder beside MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, Qwen3Config, Qwen3Model

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_folder("default"))
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, max_position_embeddings=128, architectures=["Qwen3Model"],
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def check(config: EncoderConfig, model: Path, folder: Path) -> None:
    got = engine_vectors(config, folder)
    expected = np.stack([pooled(tokens, config.pooling) for tokens in reference_tokens(model, TEXTS, MAX_TOKENS)])[
        :, : config.dimension
    ]
    assert got["together"].shape == expected.shape == (len(TEXTS), int(got["dim"]))
    assert got["empty"].shape == (0, int(got["dim"]))
    assert cosines(got["together"], expected).min() >= BF16_COSINE
    assert cosines(got["together"], got["alone"]).min() >= BF16_COSINE
    if config.normalize:
        np.testing.assert_allclose(np.linalg.norm(got["together"], axis=1), 1, rtol=1e-5)
    else:
        np.testing.assert_allclose(np.linalg.norm(got["together"], axis=1), np.linalg.norm(expected, axis=1), rtol=2e-2)
    assert got["n_tokens"].max() == MAX_TOKENS


@pytest.mark.slow
def test_encoder_only_mean(tmp_path: Path) -> None:
    check(EncoderConfig(max_tokens=MAX_TOKENS), model_folder("default"), tmp_path)
    got = dict(np.load(tmp_path / "out.npz"))
    assert got["n_unknown"][3] > 0 == got["n_unknown"][0]


@pytest.mark.slow
def test_decoder_only_last_token(tmp_path: Path) -> None:
    model = decoder_at(tmp_path / "qwen3")
    config = EncoderConfig(model=str(model), pooling="last", max_tokens=MAX_TOKENS, dimension=48)
    check(config, model, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls", "last", "max", "attention_mean", "mean_max"])
def test_poolings(pooling: Any, tmp_path: Path) -> None:
    config = EncoderConfig(pooling=pooling, max_tokens=MAX_TOKENS, normalize=pooling != "mean_max")
    check(config, model_folder("default"), tmp_path)


@pytest.mark.slow
def test_decoder_only_token_pooling(tmp_path: Path) -> None:
    model = decoder_at(tmp_path / "qwen3")
    check(EncoderConfig(model=str(model), pooling="max", max_tokens=MAX_TOKENS), model, tmp_path)


def test_more_tokens_than_the_model_has_positions(tmp_path: Path) -> None:
    from llmrec.encoding.encoders.engine import VllmEncoder

    with pytest.raises(ValueError, match="max_tokens: found 512, expected at most 256"):
        VllmEncoder(EncoderConfig(max_tokens=512))
