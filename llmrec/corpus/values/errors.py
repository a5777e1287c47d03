"""What is wrong with a row or a value, in words."""

from dataclasses import dataclass
from typing import Any


class RowError(ValueError):
    """A row that cannot be used: `reason` is a short code, `detail` what was found and what was expected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that the file's reader could not make."""

    why: str

    def __repr__(self) -> str:
        return self.why


def show(value: Any) -> str:
    """`value` for a message, at most 80 characters, whatever it is."""
    try:
        text = repr(value)
    except Exception as error:  # a number of 5,000 digits, a list in a list in a list
        text = f"a {type(value).__name__} ({type(error).__name__})"
    return text if len(text) <= 80 else text[:77] + "..."


def missing(value: Any) -> bool:
    """Nothing there: None, a NaN, or blank text."""
    return (
        value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)
    )
