"""Section `refresh`: models kept fresh by what came while the server ran."""

from pydantic import Field

from llmrec.config.base import Section


class RefreshConfig(Section):
    """When a turn of `jobs.refresh` begins, what it learns, and what it may publish."""

    least_events: int = Field(
        200, ge=1, description="new events of the log without which a turn does nothing; those that are held out, and "
        "those that a bundle is judged by once it serves, are at least a quarter as many",
    )  # fmt: skip
    held_out: float = Field(
        0.3, gt=0, lt=1, description="share of the new events, the newest, that nothing is fitted on: the candidate "
        "and the bundle that serves are compared there",
    )  # fmt: skip
    max_queries: int = Field(2_000, ge=1, description="of a comparison; more are thinned evenly over time")
    tolerance: float = Field(
        0.05, ge=0, description="how much worse than the bundle that serves the candidate may be, as a share of its "
        "ndcg@10: the lower end of the paired 95 % interval must not lie below; 0: it must be shown to be no worse",
    )  # fmt: skip
    epochs: int = Field(
        3, ge=1, description="passes of each network over all training rows, old and new, from the weights that serve"
    )
    item_share: float = Field(
        0.02, gt=0, le=1, description="largest share of a turn's new events that one item may have; the later ones "
        "are held back, and said",
    )  # fmt: skip
    user_share: float = Field(0.02, gt=0, le=1, description="the same of one user")
    growth: float = Field(
        3, ge=1, description="an item may have so many times the share that it has of the serving bundle's events"
    )
    least_held: int = Field(20, ge=1, description="so many new events are never too many for one item or user")
    trusted: tuple[str, ...] = Field(
        (), description="ids of items and users of which nothing is held back; what was held before comes with the "
        "next turn",
    )  # fmt: skip
    keep: int = Field(3, ge=1, description="turns whose files stay; of older ones only what is published stays")
