"""Section `tracking`: where losses and metrics are shown while they come. Nothing that is made depends on it."""

from pydantic import Field

from llmrec.config.base import Section


class TrackingConfig(Section):
    """Off unless asked for."""

    tensorboard: str | None = Field(
        None,
        min_length=1,
        description="folder of TensorBoard's events, one a fit below the run's; `tensorboard --logdir`",
    )
    mlflow: str | None = Field(
        None, min_length=1, description="MLflow's tracking URI, such as http://localhost:5000: a run with every fit's "
        "curves, the settings, and the report's figures",
    )  # fmt: skip
    experiment: str | None = Field(None, min_length=1, description="MLflow's experiment; none: the run's name")
