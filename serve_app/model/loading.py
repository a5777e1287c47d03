"""A bundle from storage as what answers: loaded whole, checked, asked once, and following the log if there is one."""

from dataclasses import replace

import numpy as np

from llmrec import words
from llmrec.bundle import Bundle, verify
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.exploration import terms_of
from llmrec.exposures import ExposureLog
from llmrec.exposures.learned import LearnedFeedback
from llmrec.live.context import LiveContext
from llmrec.live_bundle import LogFile, go_live
from llmrec.models.base import ModelContext
from llmrec.registry import current
from llmrec.storage import Storage
from serve_app.hot_swap import ModelRepository
from serve_app.messages import RequestUser
from serve_app.model.served import ServedModel

#: Users whose exact lists are made at once.
_ASKED = 8


def load_model(
    storage: Storage,
    version: str,
    retrieve: int,
    approximate: ApproximateConfig | None = None,
    log: LogFile | None = None,
) -> ServedModel:
    """The bundle artifact `version`, loaded whole, checked, and having answered. Raises ValueError where not.

    `log`: live events, of which those that are there by now are in its history.
    """
    artifact = storage.find("bundle", version)
    if artifact is None:
        raise ValueError(f"bundle {version!r}: not found under {storage.root}; `python -m jobs.publish` names one")
    bundle = Bundle.load(artifact.root, LiveContext.of if log else ModelContext)
    if bundle.search is not None:
        words.prepare()
    verify(bundle)
    card = {"made_unix": artifact.manifest.created_unix, "variant": bundle.variant, "text": bundle.card}
    if approximate is not None and len(bundle.history.item_ids) > approximate.above:
        card["recall_of_approximate_search"] = recall_of_approximate_search(bundle, approximate)
    live, models = go_live(bundle, log) if log else (None, bundle.models)
    bundle = replace(bundle, models=models)
    recommender = bundle.recommender(retrieve, approximate, clock=bundle.last_time if log is None else None)
    learned = None
    if log and log.exposures:
        learned = LearnedFeedback(ExposureLog(log.exposures), terms_of(recommender.columns))
    model = ServedModel(version, bundle.encoder_fingerprint or None, bundle, recommender, card, live, learned)
    probe(model)
    model.catch_up()
    return model


def probe(model: ServedModel) -> None:
    """Answer for somebody unknown and for somebody known; raises ValueError where a score is not a number."""
    for user_id in ("", *model.history.user_ids[1:2], *model.history.user_ids[-1:]):
        user = RequestUser(user_id or None, liked=tuple(model.history.item_ids[1:2]))
        candidates = model.retrieve(user, (), None)
        listed = model.order(user, candidates, 10)
        ranked = model.rank(user, model.history.item_ids[1:11], None)
        if not np.isfinite([*listed.scores, *ranked.scores]).all():
            raise ValueError(f"bundle {model.version}: a probe was answered with scores that are not numbers")


def open_repository(
    root: str, name: str, retrieve: int, approximate: ApproximateConfig | None = None, log: LogFile | None = None
) -> ModelRepository[ServedModel]:
    """The bundles under the storage `root`, CURRENT being that of the registry's `name`."""
    storage = Storage(root)
    return ModelRepository(
        lambda: str(current(storage, name)["id"]),
        lambda version: load_model(storage, version, retrieve, approximate, log),
    )


def recall_of_approximate_search(
    bundle: Bundle, approximate: ApproximateConfig, k: int = 50, n_users: int = 64
) -> float:
    """Which share of exact search's `k` best the graph finds among what each user had not, over users spread over all.

    They lie between those by whom the graph was tuned.
    """
    last = len(bundle.history.user_ids) - 1
    users = np.unique(np.linspace(1, last, 2 * n_users + 1).astype(np.int64)[1::2])
    hits = []
    for some in np.array_split(users, -(-len(users) // _ASKED)):
        times = np.full(len(some), bundle.last_time)
        states = bundle.history.users_at(some, times)
        exact, found = (
            bundle.recommender(n, by).retrieve(states, times, n).rows for n, by in ((k, None), (4 * k, approximate))
        )
        hits += [np.isin(e[e >= 0], f).mean() for e, f in zip(exact, found, strict=True) if (e >= 0).any()]
    return round(float(np.mean(hits)), 4)
