"""What another policy would have got: estimates from the server's exposure log, or from a table of logged actions.

    python -m jobs.offpolicy --config configs/mine.yaml --target greedy
    python -m jobs.offpolicy --config configs/mine.yaml --table log.parquet --target uniform

Intervals draw users, with all their lists. A policy that does what was never done is refused (exit code 2).
"""

import argparse
from typing import Any

from jobs.cli import at_least, main, parser, rate, share
from llmrec.config import RunConfig
from llmrec.exposures import ExposureLog
from llmrec.exposures.paths import join_all, log_paths
from llmrec.offpolicy.estimate import OffPolicy, estimate
from llmrec.offpolicy.logged import LoggedSlots
from llmrec.offpolicy.served import Target, slots_of_log
from llmrec.offpolicy.tables import read_table, slots_of_table
from llmrec.storage import Storage


def offpolicy(config: RunConfig, storage: Storage, args: argparse.Namespace) -> dict[str, Any]:
    """Read, estimate, tell."""
    data = _of_table(args) if args.table else _of_log(config, storage, args)
    return told(estimate(data, args.confidence), args.target)


def told(found: OffPolicy, target: str | None) -> dict[str, Any]:
    """The answer's part of the JSON line."""
    estimates = {name: getattr(found, name) for name in ("logged", "ips", "snips", "dr", "difference")}
    return {
        "target": target, "lists": found.lists, "users": found.logged.n,
        **{name: None if e is None else e.model_dump(exclude_none=True) for name, e in estimates.items()},
        "effective_lists": round(found.effective, 1), "mean_weight": round(found.mean_weight, 4),
        "largest_weight": round(found.largest_weight, 2), "unseen": round(found.unseen, 4), "caution": found.caution,
    }  # fmt: skip


def _of_table(args: argparse.Namespace) -> LoggedSlots:
    asked = {"--depth": args.depth != 1, "--kind": args.kind, "--policy": args.policy, "--min-rate": args.min_rate}
    if idle := [name for name, given in asked.items() if given]:
        raise ValueError(f"{', '.join(idle)}: choose lists of the server's log; of --table every row counts")
    target = args.target if args.target in (None, "uniform") else read_table(args.target)
    return slots_of_table(read_table(args.table), target)


def _of_log(config: RunConfig, storage: Storage, args: argparse.Namespace) -> LoggedSlots:
    paths = log_paths(config, storage.root)
    log = ExposureLog(paths.exposures)
    join_all(log, paths.events, config.serving.exposures.window_s, config.corpus.outcome)
    target, kinds = Target.parse(args.target or "greedy"), set(args.kind) or None
    return slots_of_log(log, target, args.depth, kinds, args.policy, args.min_rate)


if __name__ == "__main__":
    arguments = parser("Estimate what another policy would have got, from logged lists.")
    arguments.add_argument("--table", help="a Parquet or CSV file of action, propensity, reward (position, user, …)")
    arguments.add_argument(
        "--target", help="of the server's log: greedy (default) or rate:R; of a table: uniform, a file of action, "
        "probability (position), or nothing where the table has a column target",
    )  # fmt: skip
    arguments.add_argument("--depth", type=at_least(1), default=1, help="slots of each list that count (%(default)s)")
    arguments.add_argument("--kind", action="append", default=[], help="feedback that is a reward (default: any)")
    arguments.add_argument("--policy", help="only lists that it drew")
    arguments.add_argument("--min-rate", type=rate, default=0.0, help="only lists drawn at this rate or more")
    arguments.add_argument("--confidence", type=share, default=0.95)
    arguments.set_defaults(check=True)  # looking needs no cluster
    raise SystemExit(main(offpolicy, arguments))
