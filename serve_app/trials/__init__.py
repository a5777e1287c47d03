"""What was shown is recorded, and experiments decide who is shown what."""

from serve_app.trials.arms import Trials
from serve_app.trials.recorder import ExposureSettings, Recorder

__all__ = ["ExposureSettings", "Recorder", "Trials"]
