"""A small world in which it is known what follows each purchase."""

from dataclasses import replace

from factories.features import START, World

from llmrec.schema import DAY_MS
from llmrec.schema import Column as C

HOUR_MS = DAY_MS // 24
#: Of `features.outcome_days`.
DAYS = 3.0


def followed(outcome: str = "purchase") -> World:
    """Half of the purchases are shared an hour later, all are stayed with for as many seconds as their day's number,
    at once and once more after two days."""
    world = World.random()
    events = []
    for n, r in enumerate(world.reviews):
        who = {k: r[k] for k in (C.USER_ID, C.ITEM_ID)}
        day = (r[C.TIMESTAMP] - START) // DAY_MS
        events += [who | {C.TIMESTAMP: r[C.TIMESTAMP], C.KIND: outcome, C.VALUE: None}]
        for after in (0, 48):
            stayed = {C.TIMESTAMP: r[C.TIMESTAMP] + after * HOUR_MS, C.KIND: "dwell", C.VALUE: float(day + after)}
            events += [who | stayed]
        if n % 2:
            events += [who | {C.TIMESTAMP: r[C.TIMESTAMP] + HOUR_MS, C.KIND: "share", C.VALUE: None}]
    settings = world.settings.model_copy(update={"outcome_days": DAYS})
    return replace(world, events=events, outcome=outcome, settings=settings)
