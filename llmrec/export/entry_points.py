"""Where the networks of a bundle are entered: what is exported, and what an exported one stands in for."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn

from llmrec.models.rankers.network_ranker import NetworkRanker
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.recommender import FittedModels

Entered = Callable[..., Tensor]


@dataclass
class EntryPoint:
    """A method of a fitted network: tensors (B, …) in, one tensor (B, …) out."""

    name: str  # the file's: retriever.two_tower.user_vectors
    net: nn.Module
    method: str
    calls: list[tuple[Tensor, ...]] = field(default_factory=list)  # what it was asked while it was recorded

    @property
    def inputs(self) -> list[str]:
        return list(inspect.signature(getattr(type(self.net), self.method)).parameters)[1:]

    def module(self) -> nn.Module:
        """The method as a module's `forward`, in evaluation mode."""
        return Entry(self.net, self.method).eval()

    @contextmanager
    def replaced(self, by: Entered) -> Iterator[None]:
        """Inside, `by` answers in the method's place."""
        setattr(self.net, self.method, by)
        try:
            yield
        finally:
            delattr(self.net, self.method)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Inside, what the method is asked joins `calls`."""
        method = getattr(self.net, self.method)

        def record(*tensors: Tensor) -> Tensor:
            self.calls.append(tensors)
            answer: Tensor = method(*tensors)
            return answer

        with self.replaced(record):
            yield


class Entry(nn.Module):
    """One method of a network as `forward`."""

    def __init__(self, net: nn.Module, method: str) -> None:
        super().__init__()
        self.net, self.method = net, method

    def forward(self, *tensors: Tensor) -> Tensor:
        answer: Tensor = getattr(self.net, self.method)(*tensors)
        return answer


def entry_points(models: FittedModels) -> list[EntryPoint]:
    """Both towers of each retriever that has vectors, and the ranker where it is a network."""
    found = [
        EntryPoint(f"{key}.{method}", model.net, method)
        for key, model in models.by_key().items() if isinstance(model, NearestRetriever)
        for method in ("user_vectors", "item_vectors")
    ]  # fmt: skip
    ranker = models.ranker
    return [*found, EntryPoint("ranker", ranker.net, "forward")] if isinstance(ranker, NetworkRanker) else found
