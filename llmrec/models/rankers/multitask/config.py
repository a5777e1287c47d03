"""What the settings of every ranker of many outcomes hold."""

from typing import Literal, Self

from pydantic import Field, model_validator

from llmrec.config.data.outcomes import CLICK, LIKE, STARS, TaskConfig
from llmrec.models.rankers.click_network import NetworkConfig
from llmrec.names import check_names


class MultiTaskConfig(NetworkConfig):
    """The first outcome is `click`: what the blender reads, and what orders where nothing else is said."""

    outcomes: tuple[TaskConfig, ...] = Field(
        (TaskConfig(kind=CLICK), TaskConfig(kind=LIKE)), description="what is predicted: click, like, stars, kinds of "
        "events within features.outcome_days of the click; {dwell: {at_least: 30}}: whether somebody stayed",
    )  # fmt: skip
    weights: Literal["learned"] | dict[str, float] = Field(
        "learned", description="of the outcomes' losses, each a mean over the rows that know it: learned from their "
        "noise (Kendall et al., CVPR 2018), or by outcome, 1 where none is given",
    )  # fmt: skip
    stars: Literal["squared", "ordinal"] = Field("squared", description="loss of the stars; ordinal: cumulative logit")
    levels: tuple[float, ...] = Field((1, 2, 3, 4, 5), min_length=2, description="the stars that `ordinal` tells apart")
    order: dict[str, float] = Field(
        {CLICK: 1.0}, description="what a list is ordered by: the worth of each outcome, in clicks; {click: 1, "
        "purchase: 10}: a purchase is worth ten more",
    )  # fmt: skip
    hidden: tuple[int, ...] = Field((64,), min_length=1, description="layers of what the outcomes share")
    tower: tuple[int, ...] = Field((32,), description="layers of each outcome's own")

    @model_validator(mode="after")
    def _outcomes_are_told_apart(self) -> Self:
        names = [task.name for task in self.outcomes]
        if names[:1] != [CLICK] or len(set(names)) < len(names):
            raise ValueError(f"outcomes: each once, click first, found {names}")
        told = () if self.weights == "learned" else self.weights
        check_names("outcome among weights", told, names)
        check_names("outcome among order", self.order, names)
        if min(self.order.values(), default=0) < 0 or not any(self.order.values()):
            raise ValueError(f"order: worths of 0 and more, one of them above 0, found {self.order}")
        if list(self.levels) != sorted(set(self.levels)):
            raise ValueError(f"levels: ascending, found {self.levels}")
        return self

    def alone(self, outcome: str) -> Self:
        """The same model of one outcome and no other."""
        tasks = tuple(task for task in self.outcomes if task.name == outcome)
        return self.model_copy(update={"outcomes": tasks, "weights": "learned", "order": {outcome: 1.0}})

    @property
    def is_ordinal(self) -> bool:
        return self.stars == "ordinal" and any(task.name == STARS for task in self.outcomes)
