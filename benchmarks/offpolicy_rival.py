"""Answers lines of JSON by the Open Bandit Pipeline (obp): its estimates on its own data. Runs in .venv-rivals."""

import json
import sys
import warnings
from typing import Any

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from obp.dataset import OpenBanditDataset  # noqa: E402
from obp.ope import (  # noqa: E402
    DoublyRobust,
    InverseProbabilityWeighting,
    RegressionModel,
    SelfNormalizedInverseProbabilityWeighting,
)
from obp.policy import BernoulliTS, Random  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

_drop, _concat = pd.DataFrame.drop, pd.concat
# obp 0.4.1 calls them as pandas 1 had them
pd.DataFrame.drop = lambda self, labels=None, axis=0, **more: _drop(self, labels, axis=axis, **more)
pd.concat = lambda parts, axis=0, **more: _concat(parts, axis=axis, **more)


def dataset(policy: str, campaign: str) -> Any:
    """With numbers where pandas 2 has truth values."""
    data = OpenBanditDataset(behavior_policy=policy, campaign=campaign)
    data.context, data.action_context = data.context.astype(float), data.action_context.astype(float)
    return data


def answer(logged: str, target: str, campaign: str, n_sim: int) -> dict[str, Any]:
    """The rows, the target's probabilities (action × position), and obp's estimates of the target."""
    data = dataset(logged, campaign)
    rows = data.obtain_batch_bandit_feedback()
    own = {"n_actions": data.n_actions, "len_list": data.len_list, "random_state": 7}
    policy = BernoulliTS(is_zozotown_prior=True, campaign=campaign, **own) if target == "bts" else Random(**own)
    many = {"n_rounds": rows["n_rounds"]} | ({"n_sim": n_sim} if target == "bts" else {})
    chances = policy.compute_batch_action_dist(**many)
    taken = {name: rows[name] for name in ("reward", "action", "position", "pscore")} | {"action_dist": chances}
    model = RegressionModel(
        n_actions=data.n_actions, len_list=data.len_list, action_context=rows["action_context"],
        base_model=LogisticRegression(max_iter=1000, C=1.0),
    )  # fmt: skip
    predicted = model.fit_predict(
        context=rows["context"], action=rows["action"], reward=rows["reward"], position=rows["position"],
        pscore=rows["pscore"], n_folds=3, random_state=7,
    )  # fmt: skip
    estimates = {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**taken),
        "snips": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**taken),
        "dr": DoublyRobust().estimate_policy_value(estimated_rewards_by_reg_model=predicted, **taken),
    }
    truth = dataset(target, campaign).obtain_batch_bandit_feedback()["reward"]
    told = {name: np.asarray(rows[name]).tolist() for name in ("reward", "action", "position", "pscore")}
    return {
        "rows": told, "chances": chances[0].tolist(), "estimates": {k: float(v) for k, v in estimates.items()},
        "on_policy": float(truth.mean()), "on_policy_rows": len(truth), "context": rows["context"].tolist(),
    }  # fmt: skip


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
