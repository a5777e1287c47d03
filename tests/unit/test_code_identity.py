"""What a stage's code imports decides its version, no less and no more."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import llmrec
from llmrec.catalogue import MODELS, module_of
from llmrec.code_identity import code_version, hash_files, source_files
from llmrec.config import RunConfig, Section, ServingConfig
from llmrec.evaluation.measure import baseline_modules
from llmrec.reading.readers.factory import READERS
from llmrec.training.stage import modules_of
from llmrec.tuning.objectives.registry import OBJECTIVES
from llmrec.tuning.objectives.registry import module_of as objective_module

PACKAGE = Path(llmrec.__file__).parent
#: Artifact -> the module that makes it, and the models that a default run imports by name.
STAGES = {
    "corpus": ("llmrec.corpus.stage",),
    "encoder": ("llmrec.tuning.stage", *(objective_module(name) for name in OBJECTIVES)),
    "embeddings": ("llmrec.encoding.stage",),
    "readings": ("llmrec.reading.stage", *(reader.partition(":")[0] for reader in READERS.values())),
    "examples": ("llmrec.features.build.stage",),
    "models": ("llmrec.training.stage", *modules_of(RunConfig())),
    "hyperparameters": ("llmrec.hyperparameters.stage", *modules_of(RunConfig())),
    "bundle": ("llmrec.bundle",),
    "swapped embeddings": ("llmrec.evaluation.ablation.swapped_texts",),
    "family_study": ("llmrec.evaluation.ablation.stage",),
    "results": ("llmrec.evaluation.measure", *baseline_modules(RunConfig())),
    "report": ("llmrec.evaluation.stage",),
}
_EVALUATED = {"results", "report"}
_ENCODED = {"embeddings", "examples"} | _EVALUATED
#: What reads texts.
_TEXTS = _ENCODED | {"readings", "encoder"}
_FITTED = {"models", "hyperparameters", "bundle"} | _EVALUATED
#: A file of each room, and the artifacts whose own code it is part of (those made from them are made anew, too).
EDITS = {
    "schema.py": set(STAGES),
    "storage.py": set(STAGES),
    "shuffle_files.py": _ENCODED | {"readings"},
    "tasks.py": set(STAGES) - {"corpus", "swapped embeddings", "bundle"},
    "corpus/stage.py": {"corpus"},
    "corpus/further.py": {"examples"} | _EVALUATED,
    "features/asof/logs/further_logs.py": {"examples", "family_study"} | _FITTED,
    "features/build/further_tables.py": {"examples"} | _EVALUATED,
    "corpus/splits.py": _TEXTS | {"corpus"},
    "encoding/stage.py": {"embeddings"},
    "tuning/fit.py": {"encoder", "results", "report"},
    "tuning/objectives/stars.py": {"encoder"},
    "tuning/model_card.md.j2": {"encoder", "results", "report"},
    "workers/ray_train.py": (_FITTED - {"bundle"}) | {"encoder"},
    "encoding/store/embedding_store.py": _ENCODED | {"bundle", "readings", "swapped embeddings"},
    "reading/readers/head.py": {"readings"},
    "reading/vectors.py": {"examples"} | _EVALUATED,
    "features/asof/logs/sums.py": {"examples", "family_study"} | _FITTED,
    "features/build/driver.py": {"examples"} | _EVALUATED,
    "models/model_card.md.j2": {"bundle"} | _EVALUATED,
    "models/rankers/listwise/ranker.py": {"models", "hyperparameters"},
    "models/rankers/trees/lambdarank.py": set(),
    "models/calibrators/none.py": {"models", "hyperparameters"},
    "models/calibrators/isotonic.py": set(),
    "hyperparameters/stage.py": {"hyperparameters"},
    "hyperparameters/draws.py": {"hyperparameters"},
    "hyperparameters/ray_tune.py": {"hyperparameters"},
    "models/retrievers/ease.py": {"results"},
    "models/retrievers/nearest/retriever.py": {"models", "hyperparameters"},
    "models/retrievers/sequential/net.py": set(),
    "models/networks/fusion.py": {"models", "hyperparameters"} | _EVALUATED,
    "training/stage.py": _FITTED - {"bundle"},
    "bundle.py": {"bundle"} | _EVALUATED,
    "live/follower.py": set(),
    "recommender.py": _FITTED,
    "search/index.py": {"bundle"} | _EVALUATED,
    "search/build.py": {"bundle"} | _EVALUATED,
    "search/need.py": set(),
    "experiment.py": set(),
    "reasons/explain.py": set(),
    "models/attribution.py": {"models", "hyperparameters", "bundle", "results", "report"},
    "evaluation/ablation/swapped_texts.py": {"swapped embeddings"},
    "evaluation/ablation/family_study.py": {"family_study"} | _EVALUATED,
    "evaluation/measure.py": _EVALUATED,
    "evaluation/report/render.py": {"report"},
    "evaluation/report/templates/report.css": {"report"},
    "catalogue.py": set(),
    "config/serving/serving.py": set(),
    "pipeline.py": set(),
}


@dataclass(frozen=True)
class Copy:
    """A copy of the package, and the files there that each stage is made of."""

    root: Path
    files: dict[str, list[Path]]

    def versions(self) -> dict[str, str]:
        return {stage: hash_files(self.root, files) for stage, files in self.files.items()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    root = tmp_path_factory.mktemp("code") / "llmrec"
    shutil.copytree(PACKAGE, root, ignore=shutil.ignore_patterns("__pycache__"))
    return Copy(root, {stage: source_files(modules, root) for stage, modules in STAGES.items()})


@pytest.fixture(scope="module")
def before(copy: Copy) -> dict[str, str]:
    return copy.versions()


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_makes_exactly_the_stages_anew_that_it_is_part_of(
    file: str, copy: Copy, before: dict[str, str]
) -> None:
    text = (copy.root / file).read_bytes()
    (copy.root / file).write_bytes(text + b"\n")
    changed = {stage for stage, version in copy.versions().items() if version != before[stage]}
    (copy.root / file).write_bytes(text)
    assert changed == EDITS[file]


def test_what_is_edited_back_is_what_it_was(copy: Copy, before: dict[str, str]) -> None:
    assert {s: hash_files(copy.root, source_files(m, copy.root)) for s, m in STAGES.items()} == before


def test_every_file_is_part_of_something() -> None:
    """A template that nobody names, or a module that only a string imports, would be missed."""
    fronts = (
        "llmrec.hyperparameters",
        "llmrec.recommender",
        "llmrec.client",
        "llmrec.exploration",
        "llmrec.reasons",
        "llmrec.reasons.deletion",
        "llmrec.live.follower",
        "llmrec.live.widened",
        "llmrec.search",
        "llmrec.registry",
        "llmrec.experiment",
        "llmrec.pipeline",
        "llmrec.refresh.turn",
        "llmrec.export.stage",
        "llmrec.diversity",
        "llmrec.exposures.learned",
        "llmrec.offpolicy.served",
        "llmrec.offpolicy.tables",
        "llmrec.trials.allocation",
        "llmrec.trials.analysis",
        "llmrec.trials.guard_rails",
        "llmrec.trials.sequences",
        "llmrec.trials.team_draft",
        "llmrec.evaluation.compare.side_by_side",
        "llmrec.evaluation.report.worth_table",
    )
    models = {module_of(role, name) for role in MODELS for name in MODELS[role]}
    part = set(source_files([*fronts, *models, *(m for modules in STAGES.values() for m in modules)]))
    files = {p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.name != "py.typed"}
    left = {str(p.relative_to(PACKAGE)) for p in files - part if PACKAGE / "config" not in p.parents}
    # what the catalogue names is part of those who name it, as settings are; no stage runs the tools and servers
    assert left == {"catalogue.py", "features/build/answer_swap.py", "corpus/sample/planted.py", "reading/served.py"}


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
    assert code_version("llmrec.corpus.stage") != code_version("llmrec.corpus.stage", "llmrec.recommender")


def _sections(section: type[Section]) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _sections(field.annotation)


def test_sections_compute_nothing() -> None:
    """Their code is left out of every version: what they would compute, no version would know. (Serving makes none.)"""
    for section in set(_sections(RunConfig)) - {ServingConfig}:
        public = {n for n, v in vars(section).items() if isinstance(v, property | Callable) and n[0] != "_"}  # type: ignore[arg-type]
        assert not public - {"model_post_init"}, f"{section.__name__} computes {public}"
