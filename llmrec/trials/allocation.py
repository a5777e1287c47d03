"""Who gets which arm: a stable hash of the experiment's name and the user's id decides, and nothing else.

The same user has the same arm on every replica, after every restart and in `jobs.experiment`; the name is the salt, so
that two experiments split the same users independently (Kohavi, Tang & Xu, 2020, chapter 14).
"""

import hashlib
from collections.abc import Mapping

from llmrec.config.serving.experiments import ExperimentConfig

_BITS = 1 << 53


def arm_of(name: str, experiment: ExperimentConfig, user_id: str) -> str | None:
    """The user's arm; None where they do not take part."""
    digest = hashlib.sha256(f"{name}\0{user_id}".encode(errors="surrogatepass")).digest()
    takes_part, place = (int.from_bytes(digest[at : at + 8]) % _BITS / _BITS for at in (0, 8))
    if takes_part >= experiment.share:
        return None
    for arm, share in shares(experiment).items():
        place -= share
        if place < 0:
            return arm
    return arm


def shares(experiment: ExperimentConfig) -> Mapping[str, float]:
    """Arm -> share of those who take part, by name, whatever their order in the file; they add up to 1."""
    total = sum(arm.weight for arm in experiment.arms.values())
    return {name: arm.weight / total for name, arm in sorted(experiment.arms.items())}
