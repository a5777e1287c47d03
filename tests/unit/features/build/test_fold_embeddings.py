"""Which vectors a fold reads where the encoder was tuned anew for the later one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.features import World

from llmrec.config import FeaturesConfig, RunConfig
from llmrec.encoding import embeddings_of
from llmrec.evaluation.ablation.swapped_texts import swapped
from llmrec.features import check_origins, featurize
from llmrec.features.build import driver
from llmrec.storage import Artifact, Storage


def two_embeddings(storage: Storage, learned_before: int | None = None) -> tuple[Artifact, Artifact, Artifact]:
    """A corpus, the embeddings of fold `validation`, and those of fold `test` that know of them."""
    corpus, earlier = World.random().stored(storage)
    parents = {"corpus": corpus.id, "earlier": earlier.id}
    with storage.build("embeddings", "later", module="llmrec.encoding.stage", config={}, parents=parents) as writer:
        writer.write_table("text_keys", earlier.table("text_keys"))
        writer.info |= dict(earlier.manifest.info) | {"learned_before": learned_before}
    later = storage.find("embeddings", "later")
    assert later is not None
    return corpus, earlier, later


def test_fold_validation_reads_the_earlier_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "build", lambda *_: None)
    storage = Storage(str(tmp_path))
    times = World.random().tables()[0]["timestamp"].to_pylist()
    corpus, earlier, later = two_embeddings(storage, learned_before=sorted(times)[int(0.85 * len(times))])
    config = RunConfig(features=FeaturesConfig())
    made: dict[Any, str] = {}
    for fold in ("validation", "test"):
        examples = featurize(config, storage, corpus, later, fold)  # of fold `validation` it would be refused as it is
        made[fold] = examples.manifest.parents["embeddings"]
    assert made == {"validation": earlier.id, "test": later.id}
    assert embeddings_of(storage, earlier, "validation").id == earlier.id


def test_swapped_both_stay_apart(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    _, earlier, later = two_embeddings(storage)
    found = swapped(storage, later, "shuffled_text", 7)
    of_validation = embeddings_of(storage, found, "validation")
    assert of_validation.id == swapped(storage, earlier, "shuffled_text", 7).id != found.id
    assert embeddings_of(storage, found, "test").id == found.id


def test_earlier_ones_that_are_gone_are_told(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    _, earlier, later = two_embeddings(storage)
    (Path(earlier.root) / "manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match=rf"embeddings {earlier.id}, which fold 'validation' reads, are gone"):
        embeddings_of(storage, later, "validation")


@pytest.mark.parametrize("who", ["encoder", "reader"])
def test_what_learned_past_an_origin_is_refused_before_anything_is_trained(tmp_path: Path, who: str) -> None:
    storage, world = Storage(str(tmp_path)), World.random()
    corpus, embeddings = world.stored(storage)
    with storage.build("readings", "r", module="llmrec.reading.stage", config={}, parents={}) as writer:
        writer.info["learned_before"] = None
    readings = storage.find("readings", "r")
    assert readings is not None
    learner = {"encoder": embeddings, "reader": readings}[who]
    learner.manifest.info["learned_before"] = float(np.quantile(world.tables()[0]["timestamp"].to_numpy(), 0.7))

    def check(origins: tuple[float, ...], protocols: tuple[str, ...] = ("temporal", "rolling_origins")) -> None:
        config = RunConfig.model_validate({"evaluation": {"protocols": protocols, "origins": origins}})
        check_origins(config, storage, corpus, embeddings, readings)

    check((0.7, 0.8, 0.9))
    check((0.6, 0.7, 0.8), ("temporal",))
    with pytest.raises(ValueError, match=r"expected none from .*, where fold 'validation' ends .*evaluation\.origins"):
        check((0.6, 0.7, 0.8))
