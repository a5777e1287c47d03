"""How epochs of a retriever by vectors are compared: full ranking of the validation clicks."""

from collections.abc import Callable

from torch import nn

from llmrec.features.dataset.rows import read_examples
from llmrec.models.base import ModelContext
from llmrec.models.networks.fit_task import Metrics
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.models.validation import ValidationQueries, ranking_metrics
from llmrec.schema import DAY_MS
from llmrec.storage import Artifact

#: How stale item vectors may be when validation compares epochs. (Evaluation and serving refresh by the day.)
VALIDATION_REFRESH_MS = 7 * DAY_MS


class RankedValidation:
    """The validation clicks of a fold, each ranked among all items known at its time."""

    def __init__(self, make: Callable[[int], NearestRetriever], context: ModelContext, examples: Artifact) -> None:
        """`make`: a retriever of the same settings whose item vectors are so stale (ms)."""
        clicks = read_examples(
            examples, "validation", context.selection, context.history_length, clicks_only=True, with_pairs=False
        )
        self.queries, self.copy = ValidationQueries.of(context.history, clicks), make(VALIDATION_REFRESH_MS)

    def metrics(self, net: nn.Module) -> Metrics:
        """What the lists by the weights of `net` reach."""
        self.copy.net.load_state_dict(net.state_dict())
        self.copy.refit()
        rows, _ = retrieve(self.copy, self.queries.requests(self.copy.context), 50)
        return ranking_metrics(rows, self.queries.targets)
