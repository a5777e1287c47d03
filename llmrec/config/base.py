"""What every section of the configuration shares."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

#: What a further column is called here: part of the names of tables' columns and of features.
ColumnName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
#: One path without brackets is a list of one.
Paths = Annotated[tuple[str, ...], BeforeValidator(lambda found: (found,) if isinstance(found, str) else found)]
#: What a file calls a column; several are joined by a blank (a date and a time).
Theirs = str | tuple[str, ...]


class Section(BaseModel):
    """A section: unknown keys are errors, values are not changed after validation, strings are not numbers, and
    numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)
