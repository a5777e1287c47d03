"""What a log says of each slot, and what a target policy would have done there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Ints

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LoggedSlots:
    """n slots, those of a list together and in order, the first one first.

    `user`, `list`, `slot` (n,): integers. `propensity`, `target` (n,): the probability of what was shown, given the
    slots above, by the policy that was logged and by the one that is asked about. `taken`, `intended` (n, d): features
    of what was shown, and their mean over what the target would have shown there; None where that is not known.
    """

    user: Ints
    list: Ints
    slot: Ints
    reward: Doubles
    propensity: Doubles
    target: Doubles
    taken: Doubles | None = None
    intended: Doubles | None = None
    unseen: float = 0.0  # share of the target's choices that the log does not hold even once

    def __post_init__(self) -> None:
        if not len(self.reward):
            raise ValueError("off-policy: found no slot with a propensity; expected lists whose slots were drawn")
        for name, low, high in (("propensity", 0.0, 1.0), ("target", 0.0, 1.0), ("reward", -np.inf, np.inf)):
            values = getattr(self, name)
            wrong = np.flatnonzero(~(np.isfinite(values) & (values >= low) & (values <= high + 1e-9)))
            if len(wrong):
                raise ValueError(
                    f"off-policy: {name} of row {wrong[0]}: found {values[wrong[0]]}, expected a number"
                    + (" from 0 to 1" if high == 1 else "")
                )
        if (nothing := (self.propensity == 0)).any():
            raise ValueError(
                f"off-policy: found {int(nothing.sum())} rows with propensity 0, the first one {nothing.argmax()}: "
                "what was done had a chance; expected the probability with which the logging policy did it"
            )

    @property
    def new_list(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a list begins here."""
        return np.append(True, self.list[1:] != self.list[:-1])

    @property
    def weight(self) -> Doubles:
        """(n,) target / propensity, of this slot alone."""
        return self.target / self.propensity

    def above(self) -> Doubles:
        """(n,) the product of the weights of the slots above in the same list, 1 for the first."""
        found, weight = np.ones(len(self.reward)), self.weight
        for slot in range(1, int(self.slot.max()) + 1):
            rows = np.flatnonzero((self.slot == slot) & ~self.new_list)
            found[rows] = found[rows - 1] * weight[rows - 1]
        return found
