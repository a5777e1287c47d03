"""What was shown to whom, and how likely it was: the log, and what is learned from it while the server runs."""

from llmrec.exposures.exposure_log import ExposureLog, Tally
from llmrec.exposures.served_list import Feedback, Said, ServedList

__all__ = ["ExposureLog", "Feedback", "Said", "ServedList", "Tally"]
