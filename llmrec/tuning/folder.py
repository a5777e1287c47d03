"""The tuned encoder as a folder that sentence-transformers, transformers and vLLM read."""

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.model_files import max_positions
from llmrec.encoding.encoders.tuned import CUTOFF_FILE
from llmrec.tuning.network import TextNetwork

_ST = "sentence_transformers.models"
#: Ours -> sentence-transformers' flag, in the verbose layout: vLLM overlooks the compact one (its issue 45995).
_FLAGS = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "last": "lasttoken"}
_OTHERS = ("mean_sqrt_len_tokens", "weightedmean_tokens")


@dataclass(frozen=True)
class TunedFacts:
    """What the folder says of its making."""

    base: str  # as the configuration named the model
    base_content: str
    texts_before: int  # ms UTC
    facts: dict[str, Any]


def write_folder(network: TextNetwork, base: Path, encoder: EncoderConfig, said: TunedFacts, target: Path) -> None:
    """Weights, tokenizer, pooling, `training_cutoff.json` and model card into the empty folder `target`."""
    from transformers import AutoTokenizer

    backbone: Any = network.backbone
    backbone.save_pretrained(str(target), safe_serialization=True)
    tokenizer: Any = AutoTokenizer.from_pretrained(
        str(base), trust_remote_code=encoder.trust_remote_code, local_files_only=True
    )
    tokenizer.save_pretrained(str(target))
    write_pooling(target, encoder, network.width, max_positions(base) or encoder.max_tokens)
    before = dt.datetime.fromtimestamp(said.texts_before / 1000, dt.UTC)
    _json(target / CUTOFF_FILE, {"texts_before": before.isoformat()})
    source = (Path(__file__).parent / "model_card.md.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True).from_string(source)
    (target / "README.md").write_text(template.render(s=said, before=before, encoder=encoder), encoding="utf-8")


def write_pooling(target: Path, encoder: EncoderConfig, width: int, max_tokens: int) -> None:
    """modules.json and what it names."""
    modules = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling")]
    modules += [("2", "2_Normalize", "Normalize")] if encoder.normalize else []
    listed = [{"idx": int(n), "name": n, "path": path, "type": f"{_ST}.{kind}"} for n, path, kind in modules]
    _json(target / "modules.json", listed)
    flags = {f"pooling_mode_{flag}": flag == _FLAGS[encoder.pooling] for flag in (*_FLAGS.values(), *_OTHERS)}
    _json(target / "1_Pooling/config.json", {"word_embedding_dimension": width, **flags, "include_prompt": True})
    if encoder.normalize:
        (target / "2_Normalize").mkdir()
    _json(target / "sentence_bert_config.json", {"max_seq_length": max_tokens, "do_lower_case": False})
    prompts = {"query": encoder.query_prompt, "document": encoder.document_prompt}
    _json(target / "config_sentence_transformers.json", {"prompts": prompts, "similarity_fn_name": "cosine"})


def refuse_other_pooling(base: Path, encoder: EncoderConfig) -> None:
    """Raise ValueError where the model's own folder names another pooling than the configuration."""
    path = base / "1_Pooling/config.json"
    if not path.is_file():
        return
    said = json.loads(path.read_text(encoding="utf-8"))
    own = {name for name, flag in _FLAGS.items() if said.get(f"pooling_mode_{flag}") is True}
    own |= {name for name in _FLAGS if said.get("pooling_mode") in (name, f"{name}token")}
    if own and encoder.pooling not in own:
        raise ValueError(
            f"encoding.encoder.pooling: found {encoder.pooling!r}, but {encoder.model!r} was made for "
            f"{', '.join(sorted(own))}; set that, or tune a model whose folder names no pooling"
        )


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
