"""Two lists in one: team-draft interleaving (Radlinski, Kurup & Joachims, CIKM 2008, algorithm 2).

In each round a coin says which team picks first; each picks the best item of its own list that nobody has. What users
do with an item is credit of the team that picked it.
"""

from collections.abc import Sequence

import numpy as np


def team_draft(
    first: Sequence[str], second: Sequence[str], k: int, draw: np.random.Generator
) -> tuple[list[str], list[int]]:
    """At most `k` items of both lists, and of each the team that picked it: 0 or 1."""
    lists = [list(dict.fromkeys(first)), list(dict.fromkeys(second))]
    items, teams = list[str](), list[int]()
    while len(items) < k and any(lists):
        for team in (0, 1) if draw.random() < 0.5 else (1, 0):
            if lists[team] and len(items) < k:
                items.append(lists[team][0])
                teams.append(team)
                lists = [[item for item in one if item != items[-1]] for one in lists]
    return items, teams
