"""One process, FastAPI, torch, the same Recommender with the same caches. Run by `benchmarks.serve`.

Requests run in FastAPI's thread pool, the encoder is transformers in bfloat16 with mean pooling, one text at a time.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModel, AutoTokenizer

from llmrec.bundle import Bundle
from llmrec.encoding import make_encoder
from llmrec.encoding.encoders.model_files import model_folder


class Request(BaseModel):
    """As the real server's, without its limits."""

    user_id: str | None = None
    text: str | None = None
    k: int = 10


class Encoder:
    """transformers on all cores."""

    def __init__(self, bundle: Bundle) -> None:
        folder = str(model_folder(bundle.encoder.model, bundle.encoder.revision))
        self.max_tokens = bundle.encoder.max_tokens
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=torch.bfloat16).eval()

    @torch.inference_mode()
    def __call__(self, text: str) -> npt.NDArray[np.float32]:
        tokens = self.tokenizer([text], truncation=True, max_length=self.max_tokens, return_tensors="pt")
        states = self.model(**tokens).last_hidden_state[0].float()  # (L, D)
        vector = states.mean(0).numpy()
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


def make_app(bundle: Bundle, retrieve: int) -> FastAPI:
    """The whole server."""
    app, recommender, encode = FastAPI(), bundle.recommender(retrieve, clock=bundle.last_time), _encode(bundle)
    history, now = bundle.history, np.array([bundle.last_time])
    nothing = history.request_contexts({})

    @app.post("/v1/recommend")
    def recommend(request: Request) -> dict[str, Any]:
        if request.text is None:
            state = recommender.user(request.user_id or "", int(now[0]), nothing)
        else:
            state = history.cold_start_state(np.zeros(0, np.int64), encode(request.text), int(now[0]))
        rows, scores = recommender.recommend(state, now, request.k)
        pairs = zip(rows[0], scores[0], strict=True)
        return {"items": [{"item_id": history.item_ids[r], "score": float(s)} for r, s in pairs if r >= 0]}

    return app


def _encode(bundle: Bundle) -> Callable[[str], npt.NDArray[np.float32]]:
    if bundle.encoder.backend == "vllm":
        return Encoder(bundle)
    static = make_encoder(bundle.encoder)
    return lambda text: static.encode([text]).vectors[0]


if __name__ == "__main__":
    uri, candidates, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    uvicorn.run(make_app(Bundle.load(uri), candidates), host="127.0.0.1", port=port, log_level="warning")
