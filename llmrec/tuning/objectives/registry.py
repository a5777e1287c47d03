"""One door to every objective: by name, imported when it is named."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from llmrec.tuning.objectives.base import Learning, Objective

_ROOM = "llmrec.tuning.objectives"
#: Name -> "module:Class"; `names.OBJECTIVES` says a line of each.
OBJECTIVES: Mapping[str, str] = MappingProxyType({
    "contrastive": f"{_ROOM}.contrastive:Contrastive",
    "masked_language_model": f"{_ROOM}.masked_language_model:MaskedLanguageModel",
    "distillation": f"{_ROOM}.distillation:Distillation",
    "stars": f"{_ROOM}.stars:Stars",
})  # fmt: skip


def module_of(name: str) -> str:
    """The module that holds the objective: what a tuned encoder's version depends on."""
    return OBJECTIVES[name].partition(":")[0]


def make_objective(name: str, learning: Learning) -> Objective:
    """The objective of that name. Raises ValueError where the texts do not hold what it needs."""
    module, _, attribute = OBJECTIVES[name].partition(":")
    made: Objective = getattr(import_module(module), attribute)(learning)
    return made
