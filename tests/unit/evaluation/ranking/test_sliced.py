"""Where the text helps: a planted effect is found in its part, the corrected test guards what is said of parts."""

from collections.abc import Sequence

import numpy as np
import pytest

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.folds import Queries, Wording
from llmrec.evaluation.data.slices import SliceMask
from llmrec.evaluation.ranking.evaluator import Answer, Measured, MetricAccumulator
from llmrec.evaluation.ranking.sliced import LEAST_CLUSTERS
from llmrec.evaluation.ranking.tables import TableScope, protocol_table
from llmrec.evaluation.records.tables import ModelKind, Protocol

QUERIES, USERS, ITEMS = 1_200, 500, 120
CONFIG = EvaluationConfig(bootstrap=10_000, cutoffs=(10,))


class Fixed(Measured):
    """A model whose metric is known for every query, by training seed."""

    def __init__(self, name: str, kind: ModelKind, *by_seed: np.ndarray) -> None:
        tallies = [MetricAccumulator(ITEMS, 10) for _ in by_seed]
        for tally, values in zip(tallies, by_seed, strict=True):
            named = dict.fromkeys(("ndcg@10", "log_rank@10", "recall@10"), values)
            named["recall_over_k"] = np.zeros((QUERIES, 1))
            tally.add({"items": np.zeros((QUERIES, 10), np.int64), "scores": np.zeros((QUERIES, 10)), **named})
        super().__init__(Answer(name, kind, "", ""), tallies, ITEMS, 10)


def world(seed: int, share: float = 0.5, here: float = 0.0, elsewhere: float = 0.0) -> tuple[Protocol, np.ndarray]:
    """A table whose text is worth `here` in a part with `share` of the items, and `elsewhere` in the rest."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(1, USERS, QUERIES), rng.integers(1, ITEMS, QUERIES)
    part = item < share * ITEMS
    base = rng.random(QUERIES) * 0.2 + 0.1
    moved = np.where(part, here, elsewhere) + 0.02 * rng.normal(size=ITEMS)[item] + 0.05 * rng.normal(size=QUERIES)
    models = [Fixed("text", "ours", base + moved), Fixed("no_text", "ours", base), Fixed("ease", "baseline", base / 2)]
    return table(models, user, item, [SliceMask("item", "head", part), SliceMask("item", "tail", ~part)]), part


def table(models: Sequence[Measured], user: np.ndarray, item: np.ndarray, masks: Sequence[SliceMask]) -> Protocol:
    asked = Queries(user, np.arange(QUERIES), np.arange(QUERIES + 1), item, np.arange(QUERIES))
    scope = TableScope("temporal", "point_in_time", Wording("", "", "", ""), asked, ITEMS, 0)
    return protocol_table(scope, models, masks, CONFIG, 7)[0]


def test_an_effect_in_one_part_is_found_there_and_its_mirror_in_the_other() -> None:
    found, part = world(1, here=0.05)
    head, tail = found.slices
    assert head.n == part.sum() and head.interaction is not None and tail.interaction is not None
    assert (head.interaction.verdict, tail.interaction.verdict) == ("better", "worse")
    assert head.interaction.difference.value == pytest.approx(-tail.interaction.difference.value)
    gap = head.comparisons[0].difference.value - tail.comparisons[0].difference.value
    assert head.interaction.difference.value == pytest.approx(gap)
    assert head.interaction.ratio is None and head.interaction.margin is None
    assert head.comparisons[0].verdict == "better" and tail.comparisons[0].verdict != "better"


def test_an_effect_that_is_the_same_everywhere_is_found_nowhere_in_particular() -> None:
    told = 0
    for seed in range(60):
        found, _ = world(seed, here=0.03, elsewhere=0.03)
        told += any(s.interaction is not None and s.interaction.verdict != "cannot tell" for s in found.slices)
    assert told <= 8  # binomial(60, .05) exceeds 8 once in 500 times


def test_a_small_part_is_not_set_against_the_rest() -> None:
    small, _ = world(2, share=(LEAST_CLUSTERS - 1) / ITEMS, here=0.2)
    assert [s.interaction for s in small.slices] == [None, None]
    assert small.slices[0].comparisons


def test_a_few_items_that_are_meant_themselves_are_no_sample_of_items() -> None:
    rng = np.random.default_rng(3)
    user, item = rng.integers(1, USERS, QUERIES), rng.integers(1, ITEMS, QUERIES)
    item[: QUERIES // 4] = 1
    large, base = item == 1, rng.random(QUERIES) * 0.2 + 0.1
    moved = np.where(large, 0.0, 0.05) + 0.05 * rng.normal(size=QUERIES)
    models = [Fixed("text", "ours", base + moved), Fixed("no_text", "ours", base), Fixed("ease", "baseline", base / 2)]
    masks = [
        SliceMask("share", "large", large, fixed_items=True),
        SliceMask("share", "others", ~large, fixed_rest=True),
    ]
    found = table(models, user, item, masks)
    others = found.slices[1].interaction
    assert others is not None and others.verdict == "better"
    as_a_sample = table(models, user, item, [SliceMask("share", "others", ~large)])
    assert as_a_sample.slices[0].interaction is None  # one item is no sample of items


def test_training_noise_counts_in_the_interaction() -> None:
    rng = np.random.default_rng(4)
    user, item = rng.integers(1, USERS, QUERIES), rng.integers(1, ITEMS, QUERIES)
    part, base = item < ITEMS // 2, rng.random(QUERIES) * 0.2 + 0.1
    gains = [0.05 * rng.normal(size=QUERIES) + part * shift for shift in (0.0, 0.03, 0.06)]
    plain, baseline = Fixed("no_text", "ours", base, base, base), Fixed("ease", "baseline", base / 2)
    masks = [SliceMask("item", "head", part)]
    noisy = table([Fixed("text", "ours", *(base + g for g in gains)), plain, baseline], user, item, masks)
    mean = base + np.mean(gains, axis=0)
    quiet = table([Fixed("text", "ours", mean, mean, mean), plain, baseline], user, item, masks)
    with_noise, without = noisy.slices[0].interaction, quiet.slices[0].interaction
    assert with_noise is not None and without is not None
    assert with_noise.difference.value == pytest.approx(without.difference.value)
    assert with_noise.seed_se == pytest.approx(0.03 / 3**0.5, rel=0.2)
    assert (with_noise.verdict, without.verdict) == ("cannot tell", "better")


def test_nothing_is_said_of_parts_where_no_first_question_was_decided() -> None:
    rng = np.random.default_rng(5)
    user, item = rng.integers(1, USERS, QUERIES), rng.integers(1, ITEMS, QUERIES)
    part, base = item < ITEMS // 2, rng.random(QUERIES) * 0.2 + 0.1
    moved = np.where(part, 0.05, -0.05) + 0.05 * rng.normal(size=QUERIES)
    moved -= moved.mean()
    models = [Fixed("text", "ours", base + moved), Fixed("no_text", "ours", base), Fixed("ease", "baseline", base)]
    found = table(models, user, item, [SliceMask("item", "head", part)])
    more = found.slices[0].interaction
    assert more is not None and more.closed and more.verdict == "cannot tell"
    assert more.difference.low is not None and more.difference.low > 0
