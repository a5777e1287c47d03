"""`models.json`: what a bundle holds of a variant's models, as training wrote it and a server reads it."""

from typing import Any

from pydantic import BaseModel, ConfigDict

SUMMARY = "models.json"


class Guarded(BaseModel):
    """What the guard found: (1 − `share`) · `term` + `share` · the blend is what orders.

    `lower`: the lower end of its difference to the term alone, as a share of what the term reaches.
    """

    model_config = ConfigDict(extra="forbid")
    term: str
    share: float
    lower: float


class ModelsFile(BaseModel):
    """`models.json`: what was fitted for a variant, and what validation chose."""

    model_config = ConfigDict(extra="forbid")
    variant: str
    models: dict[str, dict[str, Any]]  # key -> settings, as fitted at last
    columns: dict[str, list[str]]  # of user, item and pair features, after the variant's selection, in order
    families: dict[str, list[str]]
    chosen: dict[str, dict[str, Any]] = {}  # key -> what validation chose: epochs, rounds
    validation: dict[str, dict[str, float]] = {}
    blender: dict[str, float] = {}  # column -> weight
    fallback: str = ""
    outcomes: list[str] = []  # beside the click, those with a calibrator of their own
    guarded: Guarded | None = None  # how much of the blend orders
