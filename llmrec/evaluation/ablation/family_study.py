"""The study of feature families, as entries of `results.json`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import combinations

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.config.features import SelectionConfig
from llmrec.evaluation.ablation.family_fits import METRICS, MODEL, FamilyFit, FamilyFits
from llmrec.evaluation.ablation.family_rows import StudyRows
from llmrec.evaluation.ablation.selection_curve import Selected, select_by_budget
from llmrec.evaluation.records.families import FamilyEffect, FamilyStudy, Interaction
from llmrec.evaluation.statistics.bootstrap import Bootstrap, combined
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.features.asof.interactions import Ints
from llmrec.features.families.columns import indices

#: Families that stand in for each other are worth little one by one; together they show what they carry.
GROUPS = ("text*", "text_user_*", "text_item_*", "user_*", "item_*", "*cross*")
#: Families of which every two are left out together.
INTERACTING = 6


@dataclass(frozen=True)
class AblationFits:
    """The fits of a study: with every column; a family or group alone, and left out; two families left out."""

    full: FamilyFit
    alone: Mapping[str, FamilyFit]
    without: Mapping[str, FamilyFit]
    pairs: Mapping[tuple[str, str], FamilyFit]


def study(
    rows: StudyRows, selection: SelectionConfig, config: EvaluationConfig, seed: int, progress: Callable[[str], None]
) -> list[FamilyStudy]:
    """One entry for each of `family_fits.METRICS`. Everything but the figures themselves is decided before T2."""
    fits = FamilyFits(rows, Bootstrap(rows.test.user, config.bootstrap, seed), seed, progress)
    sets = members(rows.families)
    places = {name: indices(rows.columns, families) for name, families in sets.items()}
    found = _measured(rows, fits, sets, places)
    selected = select_by_budget(rows, selection, fits)
    return [_entry(rows, sets, places, found, selected, metric, config.confidence) for metric in METRICS]


def members(families: Sequence[str]) -> dict[str, list[str]]:
    """Every family, then the groups of at least two that are not all of them: name -> its families."""
    groups = {pattern: [f for f in families if fnmatchcase(f, pattern)] for pattern in GROUPS}
    return {f: [f] for f in families} | {p: g for p, g in groups.items() if 1 < len(g) < len(families)}


def _measured(
    rows: StudyRows, fits: FamilyFits, sets: Mapping[str, Sequence[str]], places: Mapping[str, Ints]
) -> AblationFits:
    every = np.arange(len(rows.columns))
    rest = {name: np.setdiff1d(every, p) for name, p in places.items()}
    full = fits("all families", {"all": every})["all"]
    alone, without = fits("alone", places), fits("left out", rest)
    single = [name for name in sets if name in rows.families]
    strongest = sorted(single, key=lambda f: without[f].validation_auc)[:INTERACTING]
    both = {f"{a}+{b}": np.intersect1d(rest[a], rest[b]) for a, b in combinations(strongest, 2)}
    pairs = fits("two left out", both)
    return AblationFits(full, alone, without, {(a, b): pairs[f"{a}+{b}"] for a, b in combinations(strongest, 2)})


def _entry(
    rows: StudyRows, sets: Mapping[str, Sequence[str]], places: Mapping[str, Ints], found: AblationFits,
    selected: Selected, metric: str, confidence: float,
) -> FamilyStudy:  # fmt: skip
    full = found.full.test[metric]
    judged = compare([Pair("all", n, metric, full, c.test[metric]) for n, c in found.without.items()], confidence)
    effects = [
        FamilyEffect(
            family=name, members=list(sets[name]) if name not in rows.families else [], n_columns=len(places[name]),
            alone=found.alone[name].test[metric].estimate(confidence), contribution=c.difference,
            p_adjusted=c.p_adjusted,
        )
        for name, c in zip(found.without, judged, strict=True)
    ]  # fmt: skip
    return FamilyStudy(
        table="click", model=MODEL, metric=metric, description=_words(rows), full=full.estimate(confidence),
        families=effects, interactions=_interactions(found, metric, confidence),
        curves=selected.curves(metric, found.full, len(rows.columns), confidence), budget=selected.budget,
        kept_by=selected.method, kept=selected.kept,
    )  # fmt: skip


def _interactions(found: AblationFits, metric: str, confidence: float) -> list[Interaction]:
    """Largest first; their intervals hold together."""
    full, pairs = found.full.test[metric], []
    for (a, b), fit in found.pairs.items():
        first, second, neither = found.without[a].test[metric], found.without[b].test[metric], fit.test[metric]
        beyond = combined([full, first, second, neither], [1, -1, -1, 1])
        pairs.append(Pair(a, b, metric, beyond, combined([beyond], [0])))
    judged = compare(pairs, confidence)
    judged.sort(key=lambda c: -abs(c.difference.value))
    return [Interaction(first=c.model, second=c.against, effect=c.difference) for c in judged]


def _words(rows: StudyRows) -> str:
    return (
        f"The model is a stand-in: {MODEL} as the ranker reads, and not the ranker itself, which is too dear to fit "
        f"dozens of times. Each fit learns from {len(rows.fit):,} rows before T1, {len(rows.validation):,} rows of "
        f"[T1, T2) say when to stop, and it is measured once, on {len(rows.test):,} rows at t ≥ T2 of the click table. "
        "Which families are tried in pairs, and which columns are kept, was decided on rows before T2. Intervals are "
        "of the test's users; another fit of the same trees would differ too."
    )
