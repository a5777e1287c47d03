"""Encoding: texts to vectors, once each. See `docs/architecture.md`."""

from llmrec.encoding.encoders.encoder import Encoded, EncodingError, TextEncoder
from llmrec.encoding.encoders.factory import make_encoder
from llmrec.encoding.encoders.fingerprint import encoder_fingerprint
from llmrec.encoding.encoders.model_files import on_this_machine
from llmrec.encoding.lookup import embeddings_of, encoder_config, keys_of_rows, load_vectors, open_store
from llmrec.encoding.stage import encode
from llmrec.encoding.store.embedding_store import EmbeddingStore
from llmrec.encoding.texts.templates import item_text, review_text

__all__ = [
    "EmbeddingStore",
    "Encoded",
    "EncodingError",
    "TextEncoder",
    "embeddings_of",
    "encode",
    "encoder_config",
    "encoder_fingerprint",
    "item_text",
    "keys_of_rows",
    "load_vectors",
    "make_encoder",
    "on_this_machine",
    "open_store",
    "review_text",
]  # fmt: skip
