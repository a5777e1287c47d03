"""What a stage's code imports decides its version, no less and no more."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import llmrec
from llmrec.catalogue import MODELS, module_of
from llmrec.code_identity import code_version, hash_files, source_files
from llmrec.config import RunConfig, Section, ServingConfig
from llmrec.evaluation.stage import evaluated_modules
from llmrec.training.stage import modules_of

PACKAGE = Path(llmrec.__file__).parent
STAGES = {
    "corpus": "llmrec.corpus.stage",
    "embeddings": "llmrec.encoding.stage",
    "examples": "llmrec.features.build.stage",
    "models": "llmrec.training.stage",
    "bundle": "llmrec.bundle",
    "family_study": "llmrec.evaluation.ablation.stage",
    "report": "llmrec.evaluation.stage",
}
_AFTER_CORPUS = {"embeddings", "examples", "bundle", "report"}
_FITS = {"models", "bundle", "report"}
#: A file of each room, and the stages whose own code it is part of (their parents change what comes after them).
EDITS = {
    "schema.py": set(STAGES),
    "storage.py": set(STAGES),
    "shuffle_files.py": _AFTER_CORPUS,
    "tasks.py": _AFTER_CORPUS | {"models", "family_study"},
    "corpus/clean.py": {"corpus"},
    "corpus/sample_words.py": {"corpus"},
    "encoding/texts/templates.py": _AFTER_CORPUS,
    "encoding/encoders/engine.py": _AFTER_CORPUS,
    "features/asof/sums.py": {"examples", "family_study"} | _FITS,
    "features/build/driver.py": {"examples", "report"},
    "models/model_card.md.j2": {"bundle", "report"},
    "models/retrievers/ease.py": set(),  # of those who name it: see below
    "catalogue.py": set(),
    "training/stage.py": _FITS,
    "bundle.py": {"bundle", "report"},
    "recommender.py": _FITS,
    "evaluation/ablation/family_study.py": {"family_study", "report"},
    "evaluation/report/render.py": {"report"},
    "evaluation/report/templates/report.css": {"report"},
    "config/serving.py": set(),
    "pipeline.py": set(),
}


def versions(root: Path) -> dict[str, str]:
    return {stage: hash_files(root, source_files([module], root)) for stage, module in STAGES.items()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("code") / "llmrec"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, str]:
    return versions(copy)


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_makes_exactly_the_stages_anew_that_it_is_part_of(
    file: str, copy: Path, before: dict[str, str]
) -> None:
    text = (copy / file).read_bytes()
    (copy / file).write_bytes(text + b"\n")
    changed = {stage for stage, version in versions(copy).items() if version != before[stage]}
    (copy / file).write_bytes(text)
    assert changed == EDITS[file]
    assert versions(copy) == before


def test_no_file_of_the_package_is_part_of_nothing_but_settings_and_what_runs_the_stages() -> None:
    """A template that nobody names, or a module that only a string imports, would be missed."""
    models = [module_of(role, name) for role in MODELS for name in MODELS[role]]
    part = set(source_files([*STAGES.values(), *models, "llmrec.experiment", "llmrec.pipeline", "llmrec.registry"]))
    files = {p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.name != "py.typed"}
    left = {p for p in files - part if PACKAGE / "config" not in p.parents}
    assert {p.parent.relative_to(PACKAGE).as_posix() for p in left - {PACKAGE / "catalogue.py"}} <= {
        "evaluation/compare"  # what jobs.compare calls
    }


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_imports_are_followed_to_what_defines_a_name(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "__init__.py": "",
            "stage.py": "from llmrec.room import useful\n\ndef run():\n    import llmrec.late\n",
            "late.py": "import llmrec\nimport json\n",
            "room/__init__.py": "from llmrec.room.tools import use as useful\nfrom llmrec.room.idle import idle\n",
            "room/tools.py": 'TEMPLATE = "pages/page.j2"\nfrom llmrec.config import Section\n',
            "room/idle.py": "",
            "room/pages/page.j2": "",
            "room/pages/other.j2": "",
            "config.py": "",
        },
    )
    found = [str(p.relative_to(tmp_path)) for p in source_files(["llmrec.stage"], tmp_path)]
    assert found == ["__init__.py", "late.py", "room/__init__.py", "room/pages/page.j2", "room/tools.py", "stage.py"]
    named = source_files(["llmrec.stage", "llmrec.room.idle"], tmp_path)
    assert set(named) - set(source_files(["llmrec.stage"], tmp_path)) == {tmp_path / "room/idle.py"}
    with pytest.raises(ValueError, match=r"found no module 'llmrec.romo'"):
        source_files(["llmrec.romo"], tmp_path)


def test_a_model_that_the_configuration_names_is_part_of_the_version() -> None:
    assert code_version("llmrec.corpus.stage") != code_version("llmrec.corpus.stage", "llmrec.models.retrievers.ease")


def test_a_stage_names_the_models_that_its_run_uses_and_no_other() -> None:
    """Whose edit makes a training anew, or a report."""
    training = {"retrievers": ["item_knn"], "ranker": "logistic", "raters": ["bias"]}
    config = RunConfig.model_validate({"training": training, "evaluation": {"baselines": ["ease", "boosted"]}})
    named = {name.removeprefix("llmrec.models.") for name in modules_of(config)}
    assert named == {"retrievers.item_knn", "rankers.logistic", "blenders.conditional_logit", "raters.bias"}
    measured = {name.removeprefix("llmrec.models.") for name in evaluated_modules(config)}
    labels = {"raters.bias", "raters.matrix_factorization", "raters.bias_text", "raters.rates", "raters.text_likes"}
    ranked = {"retrievers.popularity", "retrievers.ease", "retrievers.boosted", "rankers.boosted"}
    assert measured == labels | ranked


def _sections(section: type[Section]) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _sections(field.annotation)


def test_sections_compute_nothing() -> None:
    """Their code is left out of every version: what they would compute, no version would know."""
    for section in set(_sections(RunConfig)) - {ServingConfig}:  # no artifact is made by a server's settings
        public = {n for n, v in vars(section).items() if isinstance(v, property | Callable) and n[0] != "_"}  # type: ignore[arg-type]
        assert not public - {"model_post_init"}, f"{section.__name__} computes {public}"
