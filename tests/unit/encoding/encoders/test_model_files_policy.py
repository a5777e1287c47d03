"""What may be fetched or imported to find a model is the caller's to say."""

import sys

import pytest

from llmrec.config import EncoderConfig
from llmrec.encoding import on_this_machine
from llmrec.encoding.encoders import model_files


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
