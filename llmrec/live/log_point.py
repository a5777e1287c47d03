"""How far a bundle knows a log of events."""

from pydantic import BaseModel, ConfigDict


class LogPoint(BaseModel):
    """What of a log a bundle was made with: its entries up to `through`, but for events that are held back.

    Numbers of another log say nothing: `log` is `EventLog.identity`.
    """

    model_config = ConfigDict(extra="forbid")
    log: str
    through: int
    events: int  # that came into the corpus
    held: tuple[int, ...] = ()  # numbers of entries
