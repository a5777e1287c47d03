"""What feature families need beyond a state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from llmrec.config import FeaturesConfig
from llmrec.features.arrays import Ints
from llmrec.features.families.collaborative import Collaborative

Side = Literal["user", "item", "pair"]
Values = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Learned:
    """What families need beyond a state; all of it is fitted on training rows."""

    settings: FeaturesConfig
    text_dim: int
    attributes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # hashes, the most frequent first
    attribute_names: tuple[str, ...] = ()
    collaborative: Collaborative = field(default_factory=lambda: Collaborative((), ()))
    contexts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # hashes, the most frequent first
    context_names: tuple[str, ...] = ()
    sequence_dim: int = 0
    vector_dims: Mapping[str, int] = field(default_factory=dict)  # column of the items -> its reduced width
    reading_dim: int = 0  # 0: nothing was read
    profile_dim: int = 0  # 0: no profiles were made
    event_kinds: tuple[str, ...] = ()
    relations: bool = False  # whether anybody follows anybody
    user_attributes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # hashes, the most frequent first
    user_attribute_names: tuple[str, ...] = ()
