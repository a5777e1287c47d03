"""A bundle never decides what a server runs or fetches: a hostile one is refused before its code has run."""

import json
import shutil
from pathlib import Path

import pytest
from factories.bundles import make_bundle

from llmrec.config import EncoderConfig
from llmrec.encoding import encoder_fingerprint
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.registry import publish
from llmrec.storage import Storage
from serve_app.app import BuildArgs, build

CODE = """from pathlib import Path
from transformers import PreTrainedTokenizerFast
Path({marker!r}).write_text("ran")
class Hostile(PreTrainedTokenizerFast):
    pass
"""


def hostile_model(folder: Path, marker: Path) -> str:
    """A copy of the packaged model whose tokenizer is code of its own: it leaves `marker` behind."""
    shutil.copytree(model_folder("default"), folder, ignore=shutil.ignore_patterns("onnx*", "openvino*"))
    (folder / "evil.py").write_text(CODE.format(marker=str(marker)))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    own = {"tokenizer_class": "Hostile", "auto_map": {"AutoTokenizer": [None, "evil.Hostile"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | own))
    return str(folder)


def config_for(root: Path, encoder: EncoderConfig, fingerprint: str) -> str:
    """A configuration whose registry names a bundle of that encoder."""
    storage = Storage(str(root / "artifacts"))
    publish(storage, make_bundle(storage, "first", encoder=encoder, fingerprint=fingerprint), "demo", True)
    path = root / "demo.yaml"
    path.write_text(f"name: demo\nstorage: {storage.root}\n")
    return str(path)


def test_code_in_a_tokenizer_folder_runs_only_where_the_server_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    encoder = EncoderConfig(model=hostile_model(tmp_path / "model", marker), trust_remote_code=True)
    config = config_for(tmp_path, encoder, encoder_fingerprint(encoder))
    with pytest.raises(ValueError, match="asks for trust_remote_code"):
        build(BuildArgs(config=config))
    build(BuildArgs(config=config, overrides="serving.trust_remote_code=true"))
    assert not marker.exists()  # building makes no encoder
    Tokenizer(Path(encoder.model), 16, trust_remote_code=True)
    assert marker.read_text() == "ran"  # the folder is as hostile as it should be


@pytest.mark.parametrize("model", ["memory://elsewhere/encoder", "http://127.0.0.1:9/encoder"])
def test_a_fitted_encoder_is_not_read_from_where_a_bundle_says(tmp_path: Path, model: str) -> None:
    config = config_for(tmp_path, EncoderConfig(backend="tfidf_svd", model=model), "0" * 16)
    with pytest.raises(ValueError, match=r"outside .* which this server does not read"):
        build(BuildArgs(config=config))
