"""What a server's exposure log says of its experiments, whenever one looks: the intervals hold at every look.

    python -m jobs.experiment --config configs/mine.yaml [--name NAME] [--forget USER_ID]

`--forget` erases a user from the exposure log instead.
"""

import argparse
import time
from typing import Any

from jobs.cli import main, parser
from llmrec.config import RunConfig
from llmrec.exposures import ExposureLog
from llmrec.exposures.paths import join_all, log_paths
from llmrec.storage import Storage
from llmrec.trials.analysis import analyse


def experiment(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Every experiment of the configuration, or the one that is named. Raises ValueError where there is none."""
    paths, serving = log_paths(config, storage.root), config.serving
    log = ExposureLog(paths.exposures)
    if args.forget is not None:
        return {"forgotten_lists": log.forget(args.forget)}
    names = list(serving.experiments) if args.name is None else [args.name]
    if unknown := [name for name in names if name not in serving.experiments] or ([] if names else ["none"]):
        known = ", ".join(serving.experiments) or "none"
        raise ValueError(f"serving.experiments: found no {unknown[0]!r}; expected one of: {known}")
    window = serving.exposures.window_s
    join_all(log, paths.events, window, config.corpus.outcome)
    now = int(1000 * time.time())
    return {"experiments": [analyse(name, serving.experiments[name], log, window, now) for name in names]}


if __name__ == "__main__":
    arguments = parser("Compare the arms of a server's experiments.")
    arguments.add_argument("--name", help="one experiment alone")
    arguments.add_argument("--forget", metavar="USER_ID", help="erase this user from the exposure log")
    arguments.set_defaults(check=True)  # looking needs no cluster
    raise SystemExit(main(experiment, arguments))
