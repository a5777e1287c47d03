"""`Pairs`: who is asked about what, and when."""

from dataclasses import dataclass

from llmrec.features.arrays import Ints


@dataclass(frozen=True)
class Pairs:
    """(N,) users and items at times (ms): rows of `examples`, observed or sampled."""

    user_rows: Ints
    item_rows: Ints
    times: Ints
    contexts: Ints | None = None  # (N, K) of their requests

    def __len__(self) -> int:
        return len(self.times)

    def take(self, index: Ints) -> "Pairs":
        contexts = None if self.contexts is None else self.contexts[index]
        return Pairs(self.user_rows[index], self.item_rows[index], self.times[index], contexts)
