"""What every section of the configuration shares."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: unknown keys are errors, values are not changed after validation, strings are not numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
