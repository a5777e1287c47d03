"""Ray Train: the weights of this process on two workers, and what a worker cannot use is said by the job."""

from pathlib import Path
from typing import Any

import pytest
from factories.tuning import sample_corpus, tiny_bert, tuning_config
from safetensors.torch import load_file

from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.timeout(240)]


def run(root: Path, model: Path, **tuning: Any) -> Artifact:
    storage = Storage(str(root))
    mixed = {"objectives": {"contrastive": 1.0, "masked_language_model": 0.5, "stars": 0.5}, "validation_share": 0}
    config = tuning_config(model, root, **(mixed | {"steps": 10, "validate_every": 5, "learning_rate": 1e-4} | tuning))
    return tune(config, storage, sample_corpus(storage))


def furthest(left: Artifact, right: Artifact) -> float:
    one, two = (load_file(a.uri("model/model.safetensors")) for a in (left, right))
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


@pytest.mark.slow  # the loop over two workers is that of test_training_ray
def test_two_workers_give_the_weights_of_this_process(tmp_path: Path) -> None:
    """By value, after ten steps of all objectives; that a killed run goes on is shown in this process, and for any loop
    in test_training_ray."""
    model = tiny_bert(tmp_path / "tiny")
    here, two = run(tmp_path / "here", model), run(tmp_path / "two", model, workers=2)
    assert furthest(here, two) <= 1e-4
    frozen, moved = (load_file(f) for f in (str(model / "model.safetensors"), two.uri("model/model.safetensors")))
    assert max(float((frozen[n] - moved[n]).abs().max()) for n in moved if n in frozen) > 5e-4


@pytest.mark.slow  # unit tests refuse the same in one process
def test_what_cannot_be_used_is_said_by_a_worker_once(tmp_path: Path) -> None:
    model = tiny_bert(tmp_path / "tiny")
    with pytest.raises(ValueError, match="last_layers: found 9, expected at most 2"):
        run(tmp_path, model, workers=1, method="last_layers", last_layers=9)
    assert not list(tmp_path.glob("encoder/**/*.*")) and not list(tmp_path.glob("tuning_runs/*"))
