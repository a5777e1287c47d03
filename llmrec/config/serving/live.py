"""Section `serving.live`: events that come while the server runs."""

from pydantic import Field

from llmrec.config.base import Section


class LiveConfig(Section):
    """Off unless asked for: with events on, requests are answered as of now (`serving.clock` is wall)."""

    enabled: bool = Field(False, description="POST /v1/events, and answers that know of them")
    path: str | None = Field(
        None, min_length=1, description="the log: a file on a disk of the one machine that serves, or, for several, "
        "postgresql://HOST/DATABASE (the password in PGPASSWORD or ~/.pgpass); none: live/NAME.sqlite below `storage`",
    )  # fmt: skip
    max_batch: int = Field(500, ge=1, le=10_000, description="events of one POST /v1/events")
    max_events: int = Field(
        1_000_000, ge=1, description="events that the log may hold, each replica holding them in memory (about .5 kB "
        "each, 2 kB more with words); beyond, none is taken (507)",
    )  # fmt: skip
    max_ahead_s: float = Field(60, ge=0, description="how far in the future an event may lie; clocks differ")
    pull_ms: float = Field(100, ge=1, description="how often replicas look for new events in the log")
