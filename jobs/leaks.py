"""Does any feature know its own answer? The answer-swap check on a corpus of one's own, custom families included.

    python -m jobs.leaks --config configs/mine.yaml

Stages that are missing run first, up to `featurize`. Each leak is told with its row, its column and its value.
"""

import argparse
from typing import Any, get_args

from jobs.cli import at_least, main, parser, report
from llmrec.config import RunConfig
from llmrec.features.build.answer_swap import answer_swaps
from llmrec.features.build.plan import BuildInputs
from llmrec.features.dataset.folds import Fold
from llmrec.features.dataset.rows import load_features
from llmrec.files import delete_folder
from llmrec.pipeline import run_pipeline
from llmrec.storage import Storage

_FOLDS: tuple[Fold, ...] = get_args(Fold)
#: Leaks that are told, one a fold, column and change.
TOLD = 20


class LeaksFoundError(RuntimeError):
    """Features know their own answer."""


def leaks(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Check both folds. Raises LeaksFoundError with the leaks, ValueError where the corpus is too small."""
    artifacts = run_pipeline(config, storage, report, "featurize").artifacts
    corpus, embeddings = artifacts["corpus"], artifacts["embeddings"] if config.features.text else None
    found, n = dict[tuple[str, str, str], str](), 0
    for fold in _FOLDS:
        examples = artifacts[f"examples.{fold}"]
        scratch = f"{storage.root}/scratch-leaks-{examples.id}"
        spec, history = load_features(examples)
        inputs = BuildInputs(
            storage,
            corpus,
            embeddings,
            history.settings,  # with what the corpus decides
            config.split,
            fold,
            scratch,
            scratch,
            artifacts.get("readings"),
        )
        try:
            for leak in answer_swaps(inputs, spec, history, args.moments):
                n += 1
                found.setdefault((fold, leak.column, leak.change), f"{fold}: {leak}")
        finally:
            delete_folder(scratch)
    if n:
        raise LeaksFoundError(f"{n} values know their own answer, among them:\n" + "\n".join([*found.values()][:TOLD]))
    return {"leaks": 0, "folds": list(_FOLDS), "moments": args.moments}


def arguments() -> argparse.ArgumentParser:
    """The job's arguments."""
    made = parser("Does any feature know its own answer?")
    made.add_argument(
        "--moments", type=at_least(1), default=3, help="moments at which reviews are altered, in each fold"
    )
    return made


if __name__ == "__main__":
    raise SystemExit(main(leaks, arguments()))
