"""Off-policy estimates beside the Open Bandit Pipeline's (obp), on the real logged data that comes with it.

    make rivals && .venv/bin/python -m benchmarks.offpolicy [--rival-python PATH]

Zozotown's logs (10,000 slots a policy and campaign): of the uniform policy what Bernoulli Thompson sampling would have
got, and the other way round. IPS and SNIPS are the same formulas: `largest_gap` is their largest difference. The doubly
robust ones differ by their reward models (ours ridge, theirs logistic regression): `dr_gap` is the largest difference
in standard errors of ours, over the cases of which our `caution` says nothing. `on_policy_within`: how often the
target's own mean click rate lies within our 95 % interval, widened by that rate's own error.
"""

import argparse
import json
import os
import sys
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import RIVAL_PYTHON, RivalProcess
from llmrec.offpolicy.estimate import FEW, OffPolicy, estimate
from llmrec.offpolicy.tables import slots_of_table

CAMPAIGNS = ("all", "men", "women")


def ours(answer: dict[str, Any]) -> OffPolicy:
    """Our estimates from the same rows, probabilities and contexts."""
    rows, chances = answer["rows"], np.array(answer["chances"])
    table = pd.DataFrame({"action": rows["action"], "position": rows["position"], "propensity": rows["pscore"],
                          "reward": rows["reward"]})  # fmt: skip
    table = table.join(pd.DataFrame(answer["context"]).add_prefix("context_"))
    target = pd.DataFrame(
        [(action, place, p) for (action, place), p in np.ndenumerate(chances)],
        columns=["action", "position", "probability"],
    )  # fmt: skip
    return estimate(slots_of_table(table, target))


def compared(theirs: dict[str, Any], found: OffPolicy) -> dict[str, Any]:
    """Gaps, and whether what the target really got lies within the intervals."""
    pairs = {"ips": found.ips, "snips": found.snips, "dr": found.dr}
    told: dict[str, Any] = {"on_policy": theirs["on_policy"], "effective": round(found.effective, 1)}
    error = 1.96 * np.sqrt(theirs["on_policy"] * (1 - theirs["on_policy"]) / theirs["on_policy_rows"])
    for name, estimated in pairs.items():
        assert estimated is not None and estimated.low is not None and estimated.high is not None
        told[name] = {"ours": estimated.value, "obp": theirs["estimates"][name], "low": estimated.low,
                      "high": estimated.high, "se": estimated.se}  # fmt: skip
        told[name]["within"] = bool(estimated.low - error <= theirs["on_policy"] <= estimated.high + error)
    return told


def main() -> None:
    """Run the benchmark; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rival-python", default=str(RIVAL_PYTHON), help="of an environment with obp")
    parser.add_argument("--draws", type=int, default=100_000, help="of obp, for Thompson sampling's probabilities")
    args = parser.parse_args()
    rival, cases = RivalProcess(args.rival_python, "offpolicy_rival.py"), dict[str, dict[str, Any]]()
    for campaign, (logged, target) in product(CAMPAIGNS, (("random", "bts"), ("bts", "random"))):
        theirs = rival.ask(logged=logged, target=target, campaign=campaign, n_sim=args.draws)
        cases[f"{campaign}: {logged} → {target}"] = compared(theirs, ours(theirs))
        print(campaign, logged, target, cases[f"{campaign}: {logged} → {target}"], file=sys.stderr, flush=True)
    rival.close()
    sure = [c for c in cases.values() if c["effective"] >= FEW]
    same = [abs(c[name]["ours"] - c[name]["obp"]) for c in cases.values() for name in ("ips", "snips")]
    told = {
        "benchmark": "offpolicy", "cores": os.cpu_count(), "cases": len(cases), "largest_gap": float(max(same)),
        "dr_gap": round(max(abs(c["dr"]["ours"] - c["dr"]["obp"]) / c["dr"]["se"] for c in sure), 3),
        "cautioned": len(cases) - len(sure),
        "on_policy_within": {n: sum(c[n]["within"] for c in cases.values()) for n in ("ips", "snips", "dr")},
    }  # fmt: skip
    print(json.dumps(told | {"by_case": cases}, separators=(",", ":"), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
