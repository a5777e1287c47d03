"""The guard against bursts: of a turn's new events, one item and one user may have a share, and no more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from llmrec.config.serving.refresh import RefreshConfig


@dataclass(frozen=True)
class Caps:
    """How many of `n` new events one item or user may have.

    Stated beforehand: an item gains at most `of_item` events a turn, max(least_held, item_share · n), or, where it
    always had many, `growth` times its usual share; whatever is sent. Its rank moves as far as these move it.
    """

    settings: RefreshConfig
    n: int
    usual: Mapping[str, float]  # item -> its share of the serving bundle's events

    def of_item(self, item: str) -> int:
        s = self.settings
        return max(s.least_held, int(self.n * max(s.item_share, s.growth * self.usual.get(item, 0.0))))

    @property
    def of_user(self) -> int:
        return max(self.settings.least_held, int(self.n * self.settings.user_share))


def held_back(events: Iterable[tuple[int, str, str | None]], caps: Caps) -> dict[int, str]:
    """Number -> `item` or `user`: which of the new events (number, user, item), in order, are too many, and of whom."""
    trusted, held = set(caps.settings.trusted), dict[int, str]()
    items, users = Counter[str](), Counter[str]()
    for seq, user, item in events:
        if user in trusted or item in trusted:
            continue
        if item is not None and items[item] >= caps.of_item(item):
            held[seq] = "item"
        elif users[user] >= caps.of_user:
            held[seq] = "user"
        else:
            items[item or ""] += 1  # a search is about none
            users[user] += 1
    return held
