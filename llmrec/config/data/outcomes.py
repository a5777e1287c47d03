"""The outcomes that a ranker predicts beside the click, by name."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from llmrec.config.data.events import Kind, OutcomeConfig
from llmrec.names import EVENT_KINDS, check_names

CLICK, LIKE, STARS = "click", "like", "stars"
#: Kinds of events that nobody does with an item that was chosen.
NO_OUTCOME = ("impression", "search")
#: Kinds of events whose value is a length of time, so that it is what one wants to know.
_LASTING = ("dwell", "watch")
Form = Literal["whether", "log_value", "stars"]


class TaskConfig(OutcomeConfig):
    """`purchase` is written short for `{kind: purchase}`, `{dwell: {at_least: 30}}` for whether somebody stayed."""

    kind: Kind = Field(description="click, like, stars, or a kind of events that follows the click")
    predict: Literal["whether", "log_value"] | None = Field(
        None, description="whether such an event follows, or the log of 1 + its value; left out: the value of dwell "
        "and watch without at_least, else whether",
    )  # fmt: skip

    @property
    def name(self) -> str:
        return self.kind

    @property
    def form(self) -> Form:
        """What the label is: 0 or 1, the log of 1 + a value, or stars."""
        if self.kind == STARS:
            return "stars"
        if self.predict is not None:
            return self.predict
        return "log_value" if self.kind in _LASTING and self.at_least is None else "whether"


def check_outcomes(outcomes: Iterable[TaskConfig], own_kinds: Iterable[str]) -> None:
    """Raise ValueError for an outcome that no corpus with these kinds of events can tell."""
    kinds = (kind for kind in (*EVENT_KINDS, *sorted(own_kinds)) if kind not in NO_OUTCOME)
    known = tuple(dict.fromkeys((CLICK, LIKE, STARS, *kinds)))
    check_names("outcome", [task.kind for task in outcomes], known)
