"""Where the text helps: the part of the queries in which it is worth more than elsewhere, if any is known to be."""

from collections.abc import Mapping

from llmrec.evaluation.data.slices import BLOCKBUSTER_SHARE, BLOCKBUSTERS
from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import Slice
from llmrec.evaluation.report.format import count, interval, number, round_percent
from llmrec.evaluation.report.glossary import metric_title
from llmrec.evaluation.report.verdict.words import effect, word

#: Part of the queries -> how a sentence names it; any other is "where SLICING is LEVEL".
PHRASES: Mapping[tuple[str, str], str] = {
    ("item", "head"): "for the most reviewed fifth of the items",
    ("item", "tail"): "for the less reviewed items",
    ("item", "new"): "for items that training never saw",
    ("user", "new"): "for users that training never saw",
    ("user", "in training"): "for users whom training saw",
    (BLOCKBUSTERS, "blockbusters"): "for the blockbusters",
    (BLOCKBUSTERS, "all other items"): "outside the blockbusters",
    ("item known for, days", "0–29"): "for items known for less than 30 days",
    ("item known for, days", "30–179"): "for items known for 30 to 179 days",
    ("item known for, days", "180+"): "for items known for half a year and longer",
    ("item at T2", "known by then"): "for items known at T2",
    ("item at T2", "born later"): "for items first seen after T2",
    ("core", "owed no event"): "where the cut of the corpus owed no event",
    ("core", "owed events"): "where the cut of the corpus owed events",
}  # fmt: skip
#: Verdict of an interaction -> what it says of the part.
MORE_OR_LESS = {"better": "worth more here", "worse": "worth less here"}


def phrase(part: Slice) -> str:
    """Where a part of the queries lies."""
    return PHRASES.get((part.by, part.level), f"where {part.by} is {part.level}")


def said(more: Comparison) -> str:
    """The verdict of an interaction in a few words."""
    if more.closed:
        return "cannot tell (a hint)"
    return MORE_OR_LESS.get(more.verdict, "cannot tell")


def helped_most(results: Results) -> Slice | None:
    """The part where text is better than none, and worth more than in the rest of the queries: the surest of them."""
    found = [
        s for s in _parts(results)
        if s.interaction and s.interaction.verdict == "better" and s.comparisons[0].verdict == "better"
    ]  # fmt: skip
    return max(found, key=_certainty, default=None)


def strongest(results: Results) -> str:
    """`, and +38 % [+9 %, +71 %] outside the blockbusters`, for the headline; nothing where no test supports it."""
    part = helped_most(results)
    return "" if part is None else f", and {effect(part.comparisons[0])} {phrase(part)}"


def where_it_helps(results: Results) -> str:
    """What the test of interactions found: the strongest part, or the one where text is worth least, or that it cannot
    tell one part from the rest."""
    tested = [s for s in _parts(results) if s.interaction]
    if not tested:
        return ""
    if tested[0].interaction and tested[0].interaction.closed:
        return ("Where it helps cannot be claimed: neither of the two questions that come first was decided, and what "
                "the parts of the queries show is a hint.")  # fmt: skip
    if (part := helped_most(results)) is not None:
        return f"Where it helps: {_told(part, 'more')}."
    less = [s for s in tested if s.interaction and s.interaction.verdict == "worse"]
    if less:
        return f"Where it helps less: {_told(max(less, key=_certainty), 'less')}."
    return (f"Where it helps: none of {count(len(tested))} parts of the queries differs from the rest by more than "
            "chance would give.")  # fmt: skip


def _told(part: Slice, how: str) -> str:
    more, here = part.interaction, part.comparisons[0]
    assert more is not None
    gap = more.difference
    meant = (
        f" (items that over {round_percent(BLOCKBUSTER_SHARE)} of queries ask for)" if part.by == BLOCKBUSTERS else ""
    )
    return (f"{phrase(part)}{meant}, {count(part.n)} queries, text is worth {effect(here, with_metric=True)} "
            f"({word(here)}), {how} than in the rest by {number(abs(gap.value))} {metric_title(more.metric)} "
            f"{interval(gap, signed=True)}, corrected for all {count(more.n_comparisons)} comparisons")  # fmt: skip


def _parts(results: Results) -> list[Slice]:
    """The parts of the headline's queries that have both variants."""
    table = results.table(results.headline.protocol) if results.headline else None
    return [s for s in table.slices if s.comparisons] if table else []


def _certainty(part: Slice) -> float:
    """Standard errors between the part and the rest."""
    gap = part.interaction.difference if part.interaction else None
    return abs(gap.value) / gap.se if gap and gap.se else 0.0
