"""Controls that retrain: the same model, rows, split and seed with the text withheld, replaced or encoded otherwise.

A control is fitted through the same stages as the model itself, with one input swapped. Each stage is an artifact, so a
study that is stopped goes on where it was.
"""

from collections.abc import Mapping

from llmrec.config import EncoderConfig, RunConfig, idle_controls
from llmrec.encoding import encode
from llmrec.evaluation import evaluate
from llmrec.evaluation.ablation.refit import fit_variant
from llmrec.evaluation.ablation.swapped_texts import swapped
from llmrec.storage import Artifact, Storage
from llmrec.variants import CONTROLS, Control


def run_study(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, bundles: Mapping[str, Artifact],
    readings: Artifact | None = None,
) -> Artifact:  # fmt: skip
    """The report, with a row for each control that `evaluation.controls` asks for, and `text` set against it.

    Controls are fitted one a Ray task where a cluster is connected.
    """
    names = control_names(config)
    if not names:
        return evaluate(config, storage, corpus, embeddings, bundles)
    from llmrec.tasks import parallel_map  # Ray, only where it is used

    # each control trains in its own process: workers inside it would wait for CPUs that the others hold
    alone = config.model_copy(update={"training": config.training.model_copy(update={"workers": 0})})
    controls = [CONTROLS[n] for n in names]
    vectors = [control_embeddings(config, storage, corpus, embeddings, c) for c in controls]
    # where texts are swapped nothing was read of those that stand there
    wanted = [
        (alone, storage, corpus, v, readings if c.swap is None else None, c.variant)
        for v, c in zip(vectors, controls, strict=True)
    ]
    fitted = dict(zip(names, parallel_map(fit_variant, wanted, stage="evaluate"), strict=True))
    return evaluate(config, storage, corpus, embeddings, bundles, fitted)


def control_names(config: RunConfig) -> tuple[str, ...]:
    """Those of the config; where it names none, all for size `full`, what tuning is set against for `quick`."""
    asked = config.evaluation.controls
    if asked is not None:
        return asked
    if not config.features.text:
        return ()
    wanted = tuple(CONTROLS) if config.evaluation.size == "full" else ("frozen_encoder",)
    idle = idle_controls(config.tuning, config.reading)
    return tuple(name for name in wanted if name not in idle)


def control_embeddings(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact, control: Control
) -> Artifact:
    """The `embeddings` that the control reads: encoded otherwise, with texts swapped, or as they are."""
    if control.frozen:
        return encode(config, storage, corpus)
    if control.backend is not None:
        encoding = config.encoding.model_copy(update={"encoder": EncoderConfig(backend=control.backend)})
        embeddings = encode(config.model_copy(update={"encoding": encoding}), storage, corpus)
    return embeddings if control.swap is None else swapped(storage, embeddings, control.swap, config.seed)
