"""Epochs on sequences: every place of a window predicts what came next, against in-batch and sampled items."""

import numpy as np
import torch

from llmrec.features.dataset.rows import Shard
from llmrec.models.networks.batches import neighbours
from llmrec.models.networks.fit_task import Metrics, most_rows
from llmrec.models.networks.losses import accidental_hits, companions, mixture_log_q, sampled_softmax
from llmrec.models.networks.optimization import Stepper
from llmrec.models.retrievers.nearest.validation import RankedValidation
from llmrec.models.retrievers.sequential.augment import augmented
from llmrec.models.retrievers.sequential.retriever import SequenceRetriever
from llmrec.models.retrievers.sequential.sequences import Sequences
from llmrec.models.retrievers.sequential.windows import SequenceWindows, Targets
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup


class SequenceTask:
    """The net on the sequences of a fold's training events; validated by full ranking."""

    metric, sign = "ndcg@50", 1

    def __init__(self, model: SequenceRetriever, examples: Artifact, group: ProcessGroup, validate: bool) -> None:
        self.group, self.config, context = group, model.config, model.context
        self.net, self.reader = model.net.to(group.device), model.reader
        self.windows = SequenceWindows(context, model.reader, Shard(group.rank, group.world))
        self.n_rows = most_rows(group, len(self.windows))
        self.known_since = context.history.known_since
        if validate and group.rank == 0:
            self.validation = RankedValidation(
                lambda refresh: type(model)(model.config, context, refresh), context, examples
            )

    def epoch(self, optimizer: Stepper, rng: np.random.Generator) -> float:
        """One pass over all workers' windows; the mean loss a target."""
        self.net.train()
        c, group = self.config, self.group
        batches = neighbours(len(self.windows), self.n_rows, c.batch_size, rng)
        own = np.random.default_rng([int(rng.integers(1 << 62)), group.rank])
        total = torch.zeros(2, device=group.device)
        for batch in batches:
            optimizer.zero_grad()
            shown, targets = augmented(self.windows.sequences(batch), self.windows.targets.of(batch), c.augment, own)
            if len(targets):
                loss = self.loss(batch, shown, targets, own)
                loss.backward()  # type: ignore[no-untyped-call]
                total += torch.stack([loss.detach(), torch.tensor(float(len(targets)), device=group.device)])
            group.average_gradients(self.net.parameters(), len(targets))
            optimizer.step()
        summed = group.sum(total)
        return float(summed[0] / summed[1].clamp(min=1))

    def loss(self, batch: slice, shown: Sequences, targets: Targets, rng: np.random.Generator) -> torch.Tensor:
        """The summed loss of a batch's targets."""
        device, n_items = self.group.device, len(self.known_since) - 1
        drawn = rng.integers(1, n_items + 1, min(self.config.sampled_negatives, n_items))
        when = rng.choice(targets.times, len(drawn))
        known = self.known_since[drawn] < when
        rows = np.concatenate([targets.items, drawn[known]])
        idx, texts = self.reader.items_at(rows, np.concatenate([targets.times, when[known]]))
        items = self.net.item_vectors(torch.as_tensor(idx, device=device), torch.as_tensor(texts, device=device))
        places = self.net.user_vectors(*shown.tensors(device))
        asked = places[torch.as_tensor(targets.window), torch.as_tensor(targets.place)]
        share = torch.as_tensor(self.windows.share(batch, self.config.batch_size)[rows], device=device)
        log_q = mixture_log_q(share, torch.full_like(share, 1 / max(n_items, 1)), len(targets), len(drawn))
        positives = torch.as_tensor(targets.items, device=device)
        candidates = torch.as_tensor(rows, device=device)
        past = shown.items if self.reader.context.history.settings.exclude_seen else shown.items[:, :0]
        had = torch.as_tensor(past[targets.window], device=device)
        users = torch.as_tensor(self.windows.users[batch][targets.window], device=device)
        theirs = companions(users, positives, candidates)
        excluded = accidental_hits(positives, candidates, had) | theirs
        return sampled_softmax(asked @ items.T, torch.arange(len(targets), device=device), log_q, excluded).sum()

    def validate(self) -> Metrics:
        return self.validation.metrics(self.net)
