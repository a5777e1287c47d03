"""Every name that a configuration may give stands for something, and everything that has a name can be given."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llmrec.catalogue import MODELS
from llmrec.config import RunConfig, load_config
from llmrec.features.families.registry import FAMILIES as MADE
from llmrec.models.metrics import RANKING
from llmrec.names import FAMILIES, RANKING_METRICS, check_names, check_patterns, nearest
from llmrec.variants import CONTROLS

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_names_are_those_of_the_rooms() -> None:
    assert list(FAMILIES) == list(MADE)
    assert tuple(RANKING_METRICS) == RANKING


def test_an_item_vectors_families_can_be_named() -> None:
    corpus = {"source": "table", "reviews": ["r"], "items": ["i"], "item_vectors": {"image": "e"}}
    features = {"exclude": ["vector_image_*", "text*"]}
    assert RunConfig.model_validate({"corpus": corpus, "features": features}).features.exclude == tuple(
        features["exclude"]
    )


def test_the_nearest_is_named() -> None:
    assert nearest("eaze", MODELS["retriever"]) == "ease"
    check_names("baseline", ["ease"], MODELS["retriever"])
    check_patterns("family", ["*", "text_*", "item_stars"], FAMILIES)
    with pytest.raises(ValueError, match=r"^no letter 'b'; the nearest is 'a' of a$"):
        check_names("letter", ["a", "b"], ["a"])


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "jobs.config", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_all_names_are_listed_with_a_line_each() -> None:
    listed = {line.split()[0]: line.split()[1:] for line in _run("--list").stdout.splitlines() if line[:2] == "  "}
    chosen = ("encoding.encoder.backend", "two_tower.fusion")
    for known in (RANKING_METRICS, *MODELS.values(), CONTROLS, FAMILIES, chosen):
        assert all(listed[name] for name in known)


def test_the_whole_configuration_is_printed_and_can_be_read_again(tmp_path: Path) -> None:
    file = REPOSITORY / "configs" / "quickstart.yaml"
    ran = _run("--config", str(file), "features.text_dim=16")
    (tmp_path / "whole.yaml").write_text(ran.stdout)
    assert load_config(tmp_path / "whole.yaml") == load_config(file, ["features.text_dim=16"])
    assert yaml.safe_load(ran.stdout)["serving"]["max_k"] == RunConfig().serving.max_k
    wrong = _run("--config", str(file), "evaluation.baselines=[eaze]")
    assert wrong.returncode == 2 and not wrong.stdout and "the nearest is 'ease'" in wrong.stderr
