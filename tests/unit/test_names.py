"""Every name that a configuration may give stands for something, and everything that has a name can be given."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from jobs import config
from llmrec.catalogue import MODELS, ROLES, Role, model_class
from llmrec.config import RunConfig, load_config
from llmrec.evaluation.labels.rankers import OF_MANY, baseline_rankers
from llmrec.evaluation.labels.raters import LIKES, STARS
from llmrec.evaluation.ranking.baselines import GRIDS, baseline_names
from llmrec.features.families.registry import FAMILIES as MADE
from llmrec.models.metrics import RANKING
from llmrec.names import BASELINES, FAMILIES, RANKING_METRICS, check_names, check_patterns, nearest
from llmrec.variants import CONTROLS

REPOSITORY = Path(__file__).resolve().parents[2]
Run = Callable[..., tuple[int, str, str]]


def test_the_names_are_those_of_the_rooms() -> None:
    assert tuple(RANKING_METRICS) == RANKING
    assert list(FAMILIES) == list(MADE)
    ranked, labelled = baseline_names("full", None, has_text=True), baseline_rankers("full", None, "")
    ours = {n for n in MODELS["retriever"] if model_class("retriever", n).INFO.reads in ("features", "words")}
    assert set(OF_MANY) == {n for n in MODELS["ranker"] if "outcomes" in model_class("ranker", n).Config.model_fields}
    assert {*ranked, *labelled} == set(BASELINES) - ours - set(OF_MANY) and ours == {
        "two_tower",
        "sasrec",
        "hstu",
        "text_similarity",
        "bm25",
    }
    assert set(GRIDS) < set(ranked)
    assert {*STARS, *LIKES} == set(MODELS["rater"]) - {"boosted", "network"}  # ours


@pytest.mark.parametrize(("role", "name"), [(role, name) for role in ROLES for name in MODELS[role]])
def test_a_model_is_what_its_line_in_the_catalogue_says(role: Role, name: str) -> None:
    found = model_class(role, name)
    assert role == found.ROLE and found.Config.model_fields["name"].default == name
    assert found.INFO.title and found.INFO.description
    outputs = {"rater": {"stars", "probability"}, "ranker": {"probability"}, "calibrator": {"probability"}}
    assert found.INFO.output in outputs.get(role, {"score"})


def test_an_item_vectors_families_can_be_named() -> None:
    corpus = {"source": "table", "reviews": ["r"], "items": ["i"], "item_vectors": {"image": "e"}}
    features = {"exclude": ["vector_image_*", "text*"]}
    assert RunConfig.model_validate({"corpus": corpus, "features": features}).features.exclude == tuple(
        features["exclude"]
    )


def test_the_nearest_is_named() -> None:
    assert nearest("eaze", BASELINES) == "ease"
    check_names("baseline", ["ease"], BASELINES)
    check_patterns("family", ["*", "text_*", "item_stars"], FAMILIES)
    with pytest.raises(ValueError, match=r"^no letter 'b'; the nearest is 'a' of a$"):
        check_names("letter", ["a", "b"], ["a"])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`python -m jobs.config` with these arguments, in this process: (exit code, stdout, stderr)."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["jobs.config", *arguments])
        return config.main(), *capsys.readouterr()

    return called


def test_all_names_are_listed_with_a_line_each(run: Run) -> None:
    listed = {line.split()[0]: line.split()[1:] for line in run("--list")[1].splitlines() if line[:2] == "  "}
    for known in (RANKING_METRICS, CONTROLS, FAMILIES, ("encoding.encoder.backend", "evaluation.protocols")):
        assert all(listed[name] for name in known)


def test_every_model_is_listed_under_its_role_with_what_it_is(run: Run) -> None:
    sections: dict[str, list[str]] = {}
    for line in run("--list")[1].splitlines():
        if line[:2] != "  ":
            title = line.partition(":")[0]
        sections.setdefault(title, []).append(line.strip())
    for role, models in MODELS.items():
        assert len(sections[f"{role}s"]) == 1 + len(models)
        for name, line in zip(models, sections[f"{role}s"][1:], strict=True):
            info = model_class(role, name).INFO
            assert line.startswith(f"{name} ") and f"{info.title}: {info.description}" in line and info.paper in line


def test_the_whole_configuration_is_printed_and_can_be_read_again(run: Run, tmp_path: Path) -> None:
    file = REPOSITORY / "configs" / "quickstart.yaml"
    _, printed, _ = run("--config", str(file), "features.text_dim=16")
    (tmp_path / "whole.yaml").write_text(printed)
    assert load_config(tmp_path / "whole.yaml") == load_config(file, ["features.text_dim=16"])
    assert yaml.safe_load(printed)["serving"]["max_k"] == RunConfig().serving.max_k
    code, printed, error = run("--config", str(file), "evaluation.baselines=[eaze]")
    assert code == 2 and not printed and "the nearest is 'ease'" in error
