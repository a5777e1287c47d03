"""Models of sequences as retrievers: what follows the user's past, searched among items' vectors."""

from typing import ClassVar

import numpy as np
import torch

from llmrec.models.base import Bools, Floats, Ints, ModelContext, Requests
from llmrec.models.networks.fit_task import FitTask
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.models.retrievers.sequential.net import Block, SequenceConfig, SequenceNet
from llmrec.models.retrievers.sequential.sequences import SequenceReader
from llmrec.schema import DAY_MS
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup


class SequenceRetriever(NearestRetriever):
    """Blocks of the kind `block` over a user's last events (`features.history_length`) and how long ago they were.

    An item is its id, its words (own text, reviews as of the event) or both; with words an event is also what the user
    wrote, somebody new who only says something has that as their one event, and items without any event have vectors.
    """

    block: ClassVar[Block]
    net: SequenceNet

    def __init__(self, config: SequenceConfig, context: ModelContext | None = None, refresh_ms: int = DAY_MS) -> None:
        super().__init__(config, context, refresh_ms)
        reads_words = config.inputs != "ids"
        self.reader = SequenceReader(self.context, reads_words)
        sizes = self.context.spec.n_items, self.reader.text_dim, self.context.history_length
        self.net = SequenceNet(config, type(self).block, *sizes)

    def fit_task(self, examples: Artifact, group: ProcessGroup, validate: bool) -> FitTask:
        from llmrec.models.retrievers.sequential.epochs import SequenceTask

        return SequenceTask(self, examples, group, validate)

    @torch.inference_mode()
    def user_vectors(self, requests: Requests) -> Floats:
        assert requests.states is not None
        self.net.eval()
        shown = self.reader.of_states(requests.states).cropped()
        return np.asarray(self.net.user_vectors(*shown.tensors())[:, -1].numpy(), np.float32)

    def item_vectors(self, time: int, rows: Ints | None = None) -> Floats:
        some = self.rows if rows is None else rows
        idx, texts = self.reader.items_at(some, np.full(len(some), time, np.int64))
        return np.asarray(self.net.item_vectors(torch.as_tensor(idx), torch.as_tensor(texts)).numpy(), np.float32)

    def answers(self, requests: Requests) -> Bools:
        """Whether there is an item, or a word, to attend to."""
        assert requests.states is not None
        found = (requests.states.history > 0).any(axis=1)
        if self.reader.text_dim:
            found |= (requests.states.text_weight > 0).any(axis=1)
        return np.asarray(found)
