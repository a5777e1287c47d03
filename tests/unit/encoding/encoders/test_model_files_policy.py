"""What may be fetched or imported to find a model is the caller's to say."""

import sys
from pathlib import Path

import pytest

from llmrec.config import EncoderConfig
from llmrec.encoding import on_this_machine
from llmrec.encoding.encoders import model_files
from llmrec.encoding.encoders.tuned import tuned_before
from llmrec.files import write_bytes


def test_a_hub_id_is_not_downloaded_where_nothing_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def download(model: str, **options: object) -> str:
        asked.append(options.get("local_files_only", False))
        raise FileNotFoundError(f"{model} is not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ValueError, match=r"cannot get 'some/model'.*unless serving.fetch_models=true"):
        on_this_machine(EncoderConfig(model="some/model"), fetch=False)
    assert asked == [True]
    with pytest.raises(ValueError, match="cannot get 'some/model'"):
        on_this_machine(EncoderConfig(model="some/model"), fetch=True)
    assert asked == [True, True, False]


def test_no_package_is_imported_to_look_for_a_folder() -> None:
    sys.modules.pop("wsgiref", None)
    with pytest.raises(ValueError, match=r"package 'wsgiref.util' is not installed"):
        model_files.model_folder("package:wsgiref.util/model")
    assert "wsgiref" not in sys.modules


def test_the_packaged_model_is_named_by_its_folder() -> None:
    found = on_this_machine(EncoderConfig(), fetch=False)
    assert found.model == str(model_files.model_folder("default")) and found.revision is None
    static = EncoderConfig(backend="hashing")
    assert on_this_machine(static, fetch=False) == static


def test_a_folder_of_an_object_store_is_copied_once_and_only_where_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
    uri = f"memory://{tmp_path.name}/model"
    write_bytes(f"{uri}/config.json", b"{}")
    write_bytes(f"{uri}/1_Pooling/config.json", b"{}")
    with pytest.raises(ValueError, match=r"is not on this machine.*serving.fetch_models=true"):
        model_files.model_folder(uri, fetch=False)
    folder = model_files.model_folder(uri)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*.json")) == [
        "1_Pooling/config.json",
        "config.json",
    ]
    assert model_files.model_folder(uri, fetch=False) == folder
    assert tuned_before(EncoderConfig(model=uri)) is None
    assert model_files.model_folder(f"file://{folder}") == folder
