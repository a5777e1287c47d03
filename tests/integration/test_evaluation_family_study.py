"""The study of feature families on a built-in corpus whose taste only the text shows, its cells spread over Ray."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pyarrow.compute as pc
import pytest

from llmrec.config.features import SelectionConfig
from llmrec.evaluation.ablation import family_rows as rows
from llmrec.evaluation.ablation import family_study
from llmrec.evaluation.ablation.family_rows import SplitRows, StudyRows, all_columns
from llmrec.evaluation.ablation.family_study import study
from llmrec.evaluation.ablation.stage import family_studies
from llmrec.evaluation.records.families import FamilyStudy
from llmrec.features.families.columns import FeatureColumn
from llmrec.pipeline import Run
from llmrec.storage import Artifact

NOISE = 8


@pytest.fixture(scope="module")
def run(planted_run: Run) -> Run:
    return planted_run


@pytest.fixture(scope="module")
def examples(run: Run) -> Artifact:
    return run.artifacts["examples.test"]


def read(examples: Artifact) -> StudyRows:
    return StudyRows.read(examples, all_columns(examples))


def noisy(part: SplitRows, seed: int) -> SplitRows:
    noise = np.random.default_rng(seed).normal(size=(len(part), 2 * NOISE)).astype(np.float32)
    return replace(part, values=np.concatenate([part.values, noise], axis=1))


@pytest.fixture(scope="module")
def found(run: Run, examples: Artifact) -> FamilyStudy:
    """With two families of noise beside those that the corpus has."""
    columns = tuple(FeatureColumn(f"{f}_{k}", f) for f in ("noise_a", "noise_b") for k in range(NOISE))
    clean = read(examples)
    parts = (noisy(p, seed) for seed, p in enumerate((clean.fit, clean.validation, clean.test)))
    asked = run.config.features.selection, run.config.evaluation, run.config.seed
    with patch.object(family_study, "INTERACTING", 2):  # pairs are the unit tests'
        return study(StudyRows(clean.columns + columns, *parts), *asked, lambda _: None)[0]


@pytest.mark.slow  # two minutes of fits; `small_run` makes the study too, and unit tests ask it of smaller worlds
def test_the_planted_taste_is_found_in_the_text(found: FamilyStudy) -> None:
    worth = {f.family: f.contribution for f in found.families}
    for family in ("text*", "text_similarity"):
        estimate = worth[family]
        assert estimate is not None and estimate.low is not None and estimate.low > 0, family
    for family in ("noise_a", "noise_b", "context", "user_stars"):
        estimate = worth[family]
        assert estimate is not None and estimate.low is not None and estimate.low <= 0, family


@pytest.mark.slow
def test_a_budget_drops_the_noise_and_keeps_the_text(found: FamilyStudy) -> None:
    assert not [family for family in found.kept if family.startswith("noise")]
    assert "text_similarity" in found.kept and found.budget == 24
    assert sum(map(len, found.kept.values())) <= 24


def test_rows_are_apart_by_split_and_time(examples: Artifact) -> None:
    found, t1 = read(examples), examples.manifest.info["t1"]
    train = (pc.field("split") == "train") & pc.field("candidate")
    data = examples.dataset("examples")
    assert len(found.fit) == data.count_rows(filter=train & (pc.field("timestamp") < t1)) > 1_000
    assert len(found.validation) == data.count_rows(filter=train & (pc.field("timestamp") >= t1)) > 100
    assert len(found.test) == data.count_rows(filter=pc.field("split") == "test") > 100


def test_many_clicks_are_thinned_evenly_with_their_negatives(
    examples: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(examples)
    monkeypatch.setattr(rows, "CLICKS", 1000)
    thin = read(examples)
    assert 0.1 < len(thin.fit) / len(whole.fit) < 0.3
    assert thin.fit.click.mean() == pytest.approx(whole.fit.click.mean(), abs=0.01)


def test_asked_again_the_study_is_found(run: Run, examples: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CLICKS", 300)
    quick = run.config.evaluation.model_copy(update={"bootstrap": 20})
    config = run.config.model_copy(update={"evaluation": quick})
    config = config.model_copy(
        update={"features": config.features.model_copy(update={"selection": SelectionConfig(method="f_score")})}
    )
    made = family_studies(config, run.storage, examples)
    monkeypatch.delattr("llmrec.evaluation.ablation.stage.study")
    assert family_studies(config, run.storage, examples) == made
    assert [s.metric for s in made] == ["auc", "log_loss"]
