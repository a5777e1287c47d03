"""ONNX's numbers are torch's, for any number of rows; what 8 bits cost is measured on the recommender's own lists."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories.features import World
from factories.training import Folds, folds, tiny_config

from llmrec.bundle import Bundle, assemble
from llmrec.config import RunConfig
from llmrec.export import export, stage
from llmrec.export.entry_points import EntryPoint, entry_points
from llmrec.export.onnx_files import ExportError, run_onnx
from llmrec.export.quality import beside
from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.models.validation import ValidationQueries
from llmrec.training import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("export"), World.random())


@pytest.fixture(scope="module")
def networks(made: Folds) -> tuple[Bundle, Examples]:
    return trained(made, tiny_config(ranker="dcnv2"))


@pytest.fixture(scope="module")
def no_networks(made: Folds) -> tuple[Bundle, Examples]:
    return trained(made, tiny_config(retrievers=["time_at_risk"], ranker="listwise"))


def trained(made: Folds, config: RunConfig) -> tuple[Bundle, Examples]:
    models = train(config, made.storage, made.validation, made.test, ["text"])["text"]
    bundle = Bundle.load(assemble(config, made.storage, made.test, models).root)
    chosen, length = bundle.context.selection, bundle.context.history_length
    return bundle, read_examples(made.test, "test", chosen, length, clicks_only=True, with_pairs=False)


def test_every_network_is_exported_and_agrees_with_torch(networks: tuple[Bundle, Examples], tmp_path: Path) -> None:
    bundle, clicks = networks
    table = export(bundle, clicks, tmp_path / "new", 30, 40, 7)
    assert json.loads((tmp_path / "new" / stage.TABLE).read_text()) == table
    entries = {e.name: e for e in entry_points(bundle.models)}
    assert list(table["networks"]) == list(entries) == [
        "retriever.two_tower.user_vectors", "retriever.two_tower.item_vectors", "ranker",
    ]  # fmt: skip
    for name, network in table["networks"].items():
        assert network["bytes"]["int8"] < network["bytes"]["onnx"] and all(network["milliseconds_batch_of_3"].values())
        assert f"{name}.onnx" in {file.name for file in (tmp_path / "new").iterdir()}
    file = tmp_path / "new" / "retriever.two_tower.item_vectors.onnx"
    with torch.inference_mode():
        _stands_in(bundle, entries["retriever.two_tower.item_vectors"], file)
    assert table["lists"]["onnx"]["overlap"] == 1 and table["lists"]["torch"]["difference"] == 0


def _stands_in(bundle: Bundle, entry: EntryPoint, file: Path) -> None:
    """For any number of rows, and for no longer than it should."""
    tower: Any = bundle.models.retrievers["two_tower"]
    rows = np.arange(1, 9)  # neither of the two sizes that were exported
    exact = tower.item_vectors(10**12, rows)
    with entry.replaced(run_onnx(file)):
        found = tower.item_vectors(10**12, rows)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    assert not np.array_equal(found, exact) and np.array_equal(tower.item_vectors(10**12, rows), exact)


def test_numbers_that_are_not_torchs_are_refused(made: Folds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, clicks = trained(made, tiny_config())
    monkeypatch.setattr(stage, "run_onnx", lambda file: lambda *tensors: run_onnx(file)(*tensors) + 0.01)
    with pytest.raises(ExportError, match=r"user_vectors\.onnx: differs from torch by"):
        export(bundle, clicks, tmp_path, 30, 40, 7)


def test_a_bundle_without_networks_has_nothing_to_export(no_networks: tuple[Bundle, Examples], tmp_path: Path) -> None:
    bundle, clicks = no_networks
    with pytest.raises(ExportError, match=r"found retriever.time_at_risk \(time_at_risk\).* expected a network"):
        export(bundle, clicks, tmp_path, 30, 40, 7)
    assert not list(tmp_path.iterdir())


def test_lists_are_compared_by_hand(no_networks: tuple[Bundle, Examples]) -> None:
    bundle, clicks = no_networks
    queries = ValidationQueries.of(bundle.history, clicks, 2)
    reference = np.full((2, 10), -1)
    reference[:, 0], reference[:, 1] = queries.targets, -1
    found = reference.copy()
    found[1, :2] = 10**6, queries.targets[1]  # from the first place to the second
    told = beside(found, reference, queries, 7)
    assert told["ndcg@10"] == pytest.approx((1 + 1 / np.log2(3)) / 2) and told["overlap"] == 1.0
    assert told["difference"] == pytest.approx((1 / np.log2(3) - 1) / 2)
