"""A bundle behind ids and words: what the retriever and the ranker deployments answer from."""

from llmrec.live_bundle import LogFile
from serve_app.model.item_cards import item_cards
from serve_app.model.loading import load_model, open_repository, recall_of_approximate_search
from serve_app.model.search import search
from serve_app.model.served import ServedModel

__all__ = ["LogFile", "ServedModel", "item_cards", "load_model", "open_repository", "recall_of_approximate_search",
           "search"]  # fmt: skip
