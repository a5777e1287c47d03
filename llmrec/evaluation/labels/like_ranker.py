"""Our ranker fitted to the label `like`: the same network and features as for clicks, learning from reviews alone.

The number of epochs and a Platt scaling (Platt 1999: slope and shift of the logit) are chosen on [T1, T2); then the
network is fitted anew on everything before T2.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.special import expit, logit

from llmrec.config import RankerConfig
from llmrec.evaluation.data.interactions import Floats
from llmrec.evaluation.labels.clicks import Predicted
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.models.modelfile import ModelFile
from llmrec.models.ranker import Ranker
from llmrec.schema import event_order
from llmrec.storage import Artifact
from llmrec.training.data import Examples, load_features, read_examples
from llmrec.training.fit import FitState, fit
from llmrec.training.process_group import ProcessGroup
from llmrec.training.ranker import predict, ranker_epoch
from llmrec.training.validation import click_metrics
from llmrec.variants import VARIANT_LABELS

logger = logging.getLogger(__name__)
#: Reviews learned from; where there are more, every n-th is.
_REVIEWS = 100_000
_END, _LEAST_SLOPE = 1e-6, 0.05


@dataclass
class LikeTask:
    """The network on reviews, validated by log loss: a `Task` of training's `fit`, in this process."""

    model: Ranker
    config: RankerConfig
    rows: Examples
    held_out: Examples
    metric: ClassVar[str] = "log_loss"
    sign: ClassVar[int] = -1

    def epoch(self, optimizer: torch.optim.Optimizer, rng: np.random.Generator) -> float:
        return ranker_epoch(self.model, optimizer, self.rows, self.config, ProcessGroup(), rng, len(self.rows))

    def validate(self) -> dict[str, float]:
        return click_metrics(self.held_out.click, predict(self.model, self.held_out))


@dataclass(frozen=True)
class LikeRows:
    """Reviews with stars, in order of events, as one variant describes them; `click` is the label `like`."""

    fit: Examples  # before T1
    validation: Examples  # [T1, T2)
    train: Examples  # both
    test: Examples

    @property
    def measurable(self) -> bool:
        """Whether there are reviews of both kinds to learn from and to choose by."""
        return all(0 < rows.click.sum() < len(rows) for rows in (self.fit, self.validation))

    @classmethod
    def read(cls, examples: Artifact, spec: FeatureSpec, file: ModelFile) -> "LikeRows":
        found = {
            split: read_examples(examples, split, spec.columns_of(file.variant), file.history_length, label="like")
            for split in ("train", "test")
        }
        train = _in_order(found["train"], max(1, -(-len(found["train"]) // _REVIEWS)))
        test = _in_order(found["test"])
        early = train.times < examples.manifest.info["t1"]
        return cls(train.take(np.flatnonzero(early)), train.take(np.flatnonzero(~early)), train, test)


def _paced(file: ModelFile, negatives: int) -> ModelFile:
    """With as many steps an epoch as the click label takes for the same reviews."""
    size = max(2, file.ranker.batch_size // (1 + negatives))
    return file.model_copy(update={"ranker": file.ranker.model_copy(update={"batch_size": size})})


def _in_order(rows: Examples, every: int = 1) -> Examples:
    """Every n-th of the rows, in order of events."""
    order = event_order(rows.user_ids.tolist(), rows.item_ids.tolist())
    return rows.take(np.lexsort((order, rows.times))[::every])


def our_likes(
    files: Mapping[str, ModelFile], examples: Artifact, label: npt.NDArray[np.bool_], negatives: int, seeds: int,
    seed: int,
) -> list[Predicted]:  # fmt: skip
    """Each variant's probabilities for the test reviews, whose labels (n,) in order of events are `label`.

    `files`: each variant's settings and sizes, those of its ranker for clicks. `negatives`: so many rows of
    the click label are missing beside each review, and batches are smaller by as much.
    """
    spec, found = load_features(examples)[0], []
    for variant, clicks in files.items():
        file = _paced(clicks, negatives)
        rows = LikeRows.read(examples, spec, file)
        if not rows.measurable:
            logger.warning("likes: reviews of one kind only in [T1, T2); our ranker is not fitted to them")
            return []
        assert np.array_equal(rows.test.click > 0, label), "the examples hold other test reviews than the corpus"
        fitted = [fit_likes(rows, file, seed + n) for n in range(seeds)]
        words = "our CTR network and features, fitted to `like` on reviews; Platt scaling on [T1, T2)"
        title = f"Ranker, {VARIANT_LABELS.get(variant, variant)}"
        found.append(Predicted(variant, "ours", title, words, [p for p, _ in fitted], {"epochs": fitted[0][1]}))
    return found


def fit_likes(rows: LikeRows, file: ModelFile, seed: int) -> tuple[Floats, int]:
    """(probability (n,) of the test rows, epochs that validation chose)."""
    with torch.random.fork_rng(devices=[]):
        chosen = _fitted(file, rows.fit, rows.validation, seed)
        slope, shift = platt(_logits(chosen.model, rows.validation), rows.validation.click)
        final = _fitted(file, rows.train, rows.validation, seed, chosen.epochs)
    return np.asarray(expit(slope * _logits(final.model, rows.test) + shift), np.float64), chosen.epochs


def platt(logits: Floats, label: npt.NDArray[np.float32]) -> tuple[float, float]:
    """(slope, shift) of least log loss on rows (n,). The slope stays above zero, so that the order is the network's."""

    def loss(scaling: Floats) -> float:
        scaled = scaling[0] * logits + scaling[1]
        return float(np.mean(np.logaddexp(0, scaled) - label * scaled))

    slope, shift = minimize(loss, [1.0, 0.0], bounds=[(_LEAST_SLOPE, None), (None, None)]).x
    return float(slope), float(shift)


@dataclass(frozen=True)
class _Fitted:
    model: Ranker
    epochs: int


def _fitted(file: ModelFile, rows: Examples, held_out: Examples, seed: int, epochs: int | None = None) -> _Fitted:
    """Fitted for as many epochs, or as the held-out rows want."""
    torch.manual_seed(seed)
    task, state = LikeTask(file.make_ranker(), file.ranker, rows, held_out), FitState()
    fit(task, task.config, state, ProcessGroup(), seed, epochs or task.config.epochs, epochs is None, lambda: None)
    task.model.load_state_dict(state.model if epochs else state.best)
    return _Fitted(task.model, epochs or state.best_epoch)


def _logits(model: Ranker, rows: Examples) -> Floats:
    p = np.clip(predict(model, rows).astype(np.float64), _END, 1 - _END)
    return np.asarray(logit(p))
