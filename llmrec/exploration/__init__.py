"""Slots chosen by chance, each with the probability of its choice, for estimates of what another policy would get."""

from llmrec.exploration.demand import demand, demand_draws
from llmrec.exploration.linucb import LinearState, standardised, terms_of
from llmrec.exploration.slots import Exploration, Explored, Policy, Pool, explore

__all__ = [
    "Exploration", "Explored", "LinearState", "Policy", "Pool", "demand", "demand_draws", "explore", "standardised",
    "terms_of",
]  # fmt: skip
