"""What each feature family is worth: alone, left out, two together, and under a budget of dimensions."""

from llmrec.evaluation.families.stage import family_studies

__all__ = ["family_studies"]
