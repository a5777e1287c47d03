"""Our models fitted again with another seed or other cut-offs: the stages before, each reused where it exists."""

from llmrec.bundle import assemble
from llmrec.config import RunConfig
from llmrec.config.data.corpus import SplitConfig
from llmrec.features import featurize
from llmrec.storage import Artifact, Storage
from llmrec.training import train


def fit_variant(
    config: RunConfig, storage: Storage, corpus: Artifact, embeddings: Artifact | None, readings: Artifact | None,
    variant: str,
) -> Artifact:  # fmt: skip
    """The bundle of a variant, from featurizing to assembling."""
    parents = config, storage, corpus, embeddings
    validation, test = (featurize(*parents, fold, readings) for fold in ("validation", "test"))
    return assemble(config, storage, test, train(config, storage, validation, test, [variant])[variant])


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    """The same run with another seed for weights and batches; rows and negatives stay."""
    return config.model_copy(update={"seed": seed})


def with_cut(config: RunConfig, validation_quantile: float, test_quantile: float) -> RunConfig:
    """The same run with other cut-offs T1 and T2."""
    split = SplitConfig(validation_quantile=validation_quantile, test_quantile=test_quantile)
    return config.model_copy(update={"split": split})
