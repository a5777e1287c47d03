"""How files are read (what is left out is found and reported), and when a corpus is warned of or refused."""

import datetime as dt
from typing import Literal

from pydantic import Field, field_validator

from llmrec.config.base import Section

NAMED_DATES = ("day_first", "month_first", "year_first", "excel")
_FOUND = "left out: found from the file's first bytes and lines"


class ReadingConfig(Section):
    """How the files of one kind are written. `jobs.ingest --check` reports what was found for each file."""

    kind: Literal["json", "delimited", "parquet"] | None = Field(None, description=_FOUND)
    encoding: str | None = Field(None, description=f"utf-8, cp1252, gb18030, utf-16, ...; {_FOUND}")
    separator: str | None = Field(
        None, min_length=1, description=f"between fields; blanks alone: as many of them or more; {_FOUND}"
    )
    quoted: bool | None = Field(None, description=f'whether "..." may hold separators and line ends; {_FOUND}')
    escape: Literal["double", "backslash"] | None = Field(None, description=f'"" or \\" in quoted fields; {_FOUND}')
    quote: Literal['"', "'"] | None = Field(None, description=f"what stands around fields; {_FOUND}")
    skip_lines: int | None = Field(None, ge=0, description=f"lines of a file before its header; {_FOUND}")
    header: tuple[str, ...] | bool | None = Field(
        None, description="the columns' names where the file has no header; true: the first line is one; " + _FOUND
    )
    decimal: Literal[".", ","] | None = Field(None, description=f"the decimal mark; {_FOUND}")
    dates: str | None = Field(
        None,
        description=f'such as "%d-%m-%Y %H:%M", {", ".join(NAMED_DATES)} (days since 1900); {_FOUND}',
    )
    each: str | None = Field(
        None, min_length=1, description="path of a list in each record, whose parts are rows of their own, such as the "
        "`lines` of an order: columns are then `lines.sku` and what stands beside the list",
    )  # fmt: skip
    list_separator: str | None = Field(None, min_length=1, description="between the values of one field")

    @field_validator("dates")
    @classmethod
    def _dates_can_be_read(cls, dates: str | None) -> str | None:
        if dates is None or dates in NAMED_DATES:
            return dates
        try:
            dt.datetime.strptime("", dates)
        except ValueError as error:
            if "%" not in dates or "does not match" not in f"{error}":
                raise ValueError(
                    f"found {dates!r}, expected one of {', '.join(NAMED_DATES)}, or a format of strptime ({error})"
                ) from None
        return dates


class SanityConfig(Section):
    """Shares above or below which a corpus is warned of, or refused where a limit for that is set."""

    warn_quarantined: float = Field(0.05, ge=0, le=1, description="share of rows refused")
    refuse_quarantined: float | None = Field(None, ge=0, le=1, description="share of rows refused; left out: never")
    warn_unread: float = Field(0.05, ge=0, le=1, description="share of rows that lost an optional value")
    warn_joined: float = Field(0.5, ge=0, le=1, description="least share of reviewed items that have metadata")
    refuse_joined: float | None = Field(None, ge=0, le=1, description="the same; left out: never")
    warn_unreviewed: float = Field(0.5, ge=0, le=1, description="share of the metadata's items that have no review")
    warn_largest_user: float = Field(0.2, ge=0, le=1, description="share of the events of one user")
    warn_future: float = Field(0.0, ge=0, le=1, description="share of events later than now")
    warn_copies: float = Field(0.05, ge=0, le=1, description="share of rows that are copies of others")
    warn_repeats: float = Field(0.05, ge=0, le=1, description="share of events whose pair came before")
    warn_empty: float = Field(0.5, ge=0, le=1, description="share of reviews without text, where text is mapped")
    warn_language: float = Field(0.1, ge=0, le=1, description="share of texts in a language other than English")
    protocols: Literal["warn", "refuse"] = Field(
        "refuse", description="what a pipeline does where a protocol has no events to test on"
    )
