"""Section `serving.live`: events that come while the server runs."""

from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator

from llmrec.config.base import Section

#: How the address of a log begins that several machines share.
DATABASES = ("postgresql://", "postgres://")
_SECRETS = {"password", "sslpassword"}


def refuse_other_addresses(path: str) -> None:
    """Raises ValueError for an address that is neither a file nor PostgreSQL's, or that holds a password."""
    if "://" not in path:
        return
    if not path.startswith(DATABASES):
        scheme = path.partition("://")[0]
        raise ValueError(f"a file, or postgresql://HOST/DATABASE; {scheme}:// is neither")
    address = urlsplit(path)
    asked = {name.lower() for name, _ in parse_qsl(address.query, keep_blank_values=True)}
    if address.password is not None or asked & _SECRETS:
        raise ValueError(
            "no password in the URL, which is kept in configurations and manifests; expected it in PGPASSWORD, "
            "PGPASSFILE or ~/.pgpass of every machine that serves"
        )


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

    @field_validator("path")
    @classmethod
    def _where_a_log_can_lie(cls, path: str | None) -> str | None:
        if path is not None:
            refuse_other_addresses(path)
        return path
