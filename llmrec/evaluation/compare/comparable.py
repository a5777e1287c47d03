"""Two runs are only comparable where they asked the same questions: one corpus, one protocol, the same targets."""

from collections.abc import Sequence

from llmrec.evaluation.compare.stored_run import TRUTH, StoredRun


class NotComparable(ValueError):
    """The runs did not answer the same questions; the message says what differs."""


def check_comparable(runs: Sequence[StoredRun]) -> list[str]:
    """Raise NotComparable where two runs were asked different questions; otherwise what a reader should know."""
    if len(runs) < 2:
        raise ValueError(f"compare: found {len(runs)} run, expected at least two")
    titles = [run.title for run in runs]
    if doubled := sorted({t for t in titles if titles.count(t) > 1}):
        raise ValueError(f"compare: {', '.join(doubled)} is given twice; expected different runs")
    notes = [note for run in runs[1:] for note in _check_corpus(runs[0], run)]
    for run in runs[1:]:
        _check_protocol(runs[0], run)
        _check_truth(runs[0], run)
    if not runs[0].truth.num_rows:
        raise NotComparable(f"{runs[0].title}: {TRUTH} holds no target, so there is nothing to compare")
    return notes


#: What two readings of one corpus agree on, whichever code read it.
_PORTRAIT = ("n_reviews", "n_users", "n_items", "first", "last", "stars", "languages", "duplicates", "empty_texts",
             "quarantined")  # fmt: skip
_PROTOCOL = ("name", "information_set", "t1", "t2", "history", "refit", "candidates")


def _differences(a: object, b: object, names: Sequence[str]) -> list[str]:
    return [f"{n} {getattr(a, n)!r} and {getattr(b, n)!r}" for n in names if getattr(a, n) != getattr(b, n)]


def _check_corpus(a: StoredRun, b: StoredRun) -> list[str]:
    """Corpus ids also change with the code that read the files: then the portraits decide."""
    if differ := _differences(a.results.portrait, b.results.portrait, _PORTRAIT):
        raise NotComparable(f"{a.title} and {b.title} read different corpora: {'; '.join(differ)}")
    ids = a.results.run.corpus_id, b.results.run.corpus_id
    if ids[0] == ids[1]:
        return []
    return [f"{a.title} and {b.title} read the corpus with other code or settings (ids {ids[0]} and {ids[1]}); its "
            "portrait and the targets are the same"]  # fmt: skip


def _check_protocol(a: StoredRun, b: StoredRun) -> None:
    if differ := _differences(a.protocol, b.protocol, _PROTOCOL):
        raise NotComparable(f"{a.title} and {b.title} follow different protocols: {'; '.join(differ)}")


def _check_truth(a: StoredRun, b: StoredRun) -> None:
    if a.truth.equals(b.truth):
        return
    sizes = f"{a.truth.num_rows:,} and {b.truth.num_rows:,} targets"
    shared = a.truth.join(b.truth, a.truth.column_names, join_type="inner").num_rows
    raise NotComparable(
        f"{a.title} and {b.title} were asked different questions: {sizes}, {shared:,} of them the same. Evaluate both "
        "with one corpus, split and protocol."
    )
