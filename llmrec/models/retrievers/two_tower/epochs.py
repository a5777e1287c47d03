"""Epochs of the two-tower model: batches of neighbours in time, in-batch and sampled candidates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from llmrec.features.dataset.rows import Examples, Shard, read_examples
from llmrec.models.base import ModelContext
from llmrec.models.networks.batches import neighbours
from llmrec.models.networks.fit_task import Metrics, most_rows
from llmrec.models.networks.losses import accidental_hits, companions, mixture_log_q, sampled_softmax
from llmrec.models.networks.optimization import Stepper
from llmrec.models.retrievers.nearest.validation import RankedValidation
from llmrec.models.retrievers.two_tower.net import TwoTower, TwoTowerConfig
from llmrec.models.retrievers.two_tower.retriever import TwoTowerRetriever
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

#: Batches on either side from which an item's share among a batch's positives is estimated.
WINDOW_BATCHES = 4


@dataclass(frozen=True)
class SampledItems:
    """Items drawn uniformly, each with its features as of the time of one of the batch's rows."""

    rows: Ints  # (M,) History rows
    idx: Ints  # (M,) in the model's vocabulary, as of that time
    features: Floats  # (M, Di)


class TowerData:
    """A worker's positives in order of time, and the as-of state that sampled items' features come from.

    A batch's rows are neighbours in time, since they are each other's negatives: an item's popularity as of another
    year would tell positives from negatives by the date alone.
    """

    def __init__(self, positives: Examples, context: ModelContext) -> None:
        self.positives, self.spec, self.history = positives, context.spec, context.history
        self.selection, history = context.selection, context.history
        self.item_rows = history.item_rows(list(positives.item_ids))
        self.user_rows = history.user_rows(list(positives.user_ids))
        self.n_items = len(history.item_ids) - 1

    def batches(self, size: int, rng: np.random.Generator, n_rows: int) -> list[slice]:
        """Slices of an epoch; as many for every worker with up to `n_rows` rows."""
        return neighbours(len(self.positives), n_rows, size, rng)

    def in_batch_share(self, batch: slice, size: int) -> Floats:
        """(n_items + 1,) share of each item among the positives around the batch: p_j of the logQ correction.

        Yi et al. (2019, section 4) estimate it from a stream, since it drifts with time; here the neighbours are known.
        """
        around = self.item_rows[max(batch.start - WINDOW_BATCHES * size, 0) : batch.stop + WINDOW_BATCHES * size]
        counts = np.bincount(around, minlength=self.n_items + 1)
        return np.asarray(counts / max(len(around), 1), np.float32)

    def sample(self, batch: slice, n: int, rng: np.random.Generator) -> SampledItems:
        """Up to n items: uniform over the catalogue, each at the time of a random row, those unknown then left out."""
        rows = rng.integers(1, self.n_items + 1, n)
        times = rng.choice(self.positives.times[batch], n)
        known = self.history.known_since[rows] < times
        states = self.history.items_at(rows[known], times[known])
        idx = self.spec.items_idx(states).astype(np.int64)
        return SampledItems(rows[known], idx, self.spec.item_features(states, self.selection.item))


class TowerTask:
    """The towers on a fold's positives; validated by full ranking over the items known at each query."""

    metric, sign = "ndcg@50", 1

    def __init__(self, model: TwoTowerRetriever, examples: Artifact, group: ProcessGroup, validate: bool) -> None:
        self.group, self.config, context = group, model.config, model.context
        self.net = model.net.to(group.device)
        shard, chosen, length = Shard(group.rank, group.world), context.selection, context.history_length
        rows = read_examples(examples, "train", chosen, length, clicks_only=True, with_pairs=False, shard=shard)
        self.data = TowerData(rows, context)
        self.n_rows = most_rows(group, len(rows))
        if validate and group.rank == 0:
            self.validation = RankedValidation(
                lambda refresh: TwoTowerRetriever(model.config, context, refresh), context, examples
            )

    def epoch(self, optimizer: Stepper, rng: np.random.Generator) -> float:
        return tower_epoch(self.net, optimizer, self.data, self.config, self.group, rng, self.n_rows)

    def validate(self) -> Metrics:
        return self.validation.metrics(self.net)


def tower_epoch(
    model: TwoTower, optimizer: Stepper, data: TowerData, config: TwoTowerConfig, group: ProcessGroup,
    rng: np.random.Generator, n_rows: int,
) -> float:  # fmt: skip
    """One pass over all workers' positives; returns the mean loss a row, over all of them.

    `n_rows`: the largest number of rows a worker has, so that all take equally many steps. `rng` must be in the same
    state on every worker: it cuts the batches; what a worker samples is then its own.
    """
    model.train()
    batches = data.batches(config.batch_size, rng, n_rows)
    own = np.random.default_rng([int(rng.integers(1 << 62)), group.rank])
    total = torch.zeros(2, device=group.device)
    for batch in batches:
        optimizer.zero_grad()
        rows = max(batch.stop - batch.start, 0)
        if rows:
            loss = tower_loss(model, data, batch, config, own, group.device)
            loss.backward()  # type: ignore[no-untyped-call]
            total += torch.stack([loss.detach(), torch.tensor(float(rows), device=group.device)])
        group.average_gradients(model.parameters(), rows)
        optimizer.step()
    summed = group.sum(total)
    return float(summed[0] / summed[1])


def tower_loss(
    model: TwoTower, data: TowerData, batch: slice, config: TwoTowerConfig, rng: np.random.Generator,
    device: str = "cpu",
) -> torch.Tensor:  # fmt: skip
    """The summed loss of a batch: each row's positive against the batch's other items and the sampled ones."""
    part, rows = data.positives.take(batch), data.item_rows[batch]
    n_sampled = min(config.sampled_negatives, data.n_items)  # more would only repeat a small catalogue
    sampled = data.sample(batch, n_sampled, rng)
    candidates = np.concatenate([rows, sampled.rows])
    features = np.concatenate([part.item, sampled.features])
    idx = np.concatenate([part.item_idx, sampled.idx])

    def tensor(values: npt.NDArray[np.generic]) -> torch.Tensor:
        return torch.as_tensor(np.ascontiguousarray(values), device=device)

    users = model.user_vectors(tensor(part.user_idx), tensor(part.history), tensor(part.ages), tensor(part.user))
    items = model.item_vectors(tensor(idx), tensor(features))
    log_q = mixture_log_q(
        tensor(data.in_batch_share(batch, config.batch_size)[candidates]),
        torch.full((len(candidates),), 1 / max(data.n_items, 1), device=device),
        len(rows), n_sampled,
    )  # fmt: skip
    # positives by History row; histories are in the model's vocabulary, where 0 (unknown) never matches
    same_item = companions(tensor(data.user_rows[batch]), tensor(rows), tensor(candidates))
    past = part.history if data.history.settings.exclude_seen else part.history[:, :0]  # what may come again is none
    had = accidental_hits(torch.full((len(rows),), -1, device=device), tensor(idx), tensor(past))
    target = torch.arange(len(rows), device=device)
    return sampled_softmax(users @ items.T, target, log_q, same_item | had).sum()
