"""A bundle's networks as files of ONNX, checked against torch, and a table of what 8 bits cost."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmrec.bundle import Bundle
from llmrec.export.entry_points import EntryPoint, entry_points
from llmrec.export.onnx_files import ExportError, run_onnx, write_int8, write_onnx
from llmrec.export.quality import beside, lists, milliseconds
from llmrec.features.dataset.rows import Examples
from llmrec.files import write_json
from llmrec.models.base import Ints
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.models.validation import ValidationQueries
from llmrec.recommender import Recommender
from llmrec.threads import one_torch_thread

#: The largest difference to torch's numbers, relative to the largest of these.
TOLERANCE = 1e-4
TABLE = "export.json"
#: Sizes of the two batches that tell which axes are free.
_BATCHES = (3, 5)


def export(bundle: Bundle, clicks: Examples, folder: Path, retrieve: int, n_queries: int, seed: int) -> dict[str, Any]:
    """Write NAME.onnx and NAME.int8.onnx for each entry point, and `export.json`, the table; returns the table.

    `clicks`: events that the models have not seen; `n_queries` of them measure the lists. Raises ExportError for a
    bundle without networks, or where ONNX Runtime's numbers are not torch's.
    """
    recommender = bundle.recommender(retrieve)
    entries = entry_points(recommender.models)
    if not entries:
        kinds = ", ".join(f"{key} ({model.config.name})" for key, model in recommender.models.by_key().items())
        raise ExportError(
            f"bundle {bundle.id}: found {kinds}; expected a network among them, such as two_tower or dcnv2"
        )
    folder.mkdir(parents=True, exist_ok=True)
    queries = ValidationQueries.of(bundle.history, clicks, n_queries)
    with one_torch_thread(), torch.inference_mode():
        _ask(recommender, entries, queries)
        for entry in entries:
            _write(entry, folder)
        made = {"bundle": bundle.id, "queries": len(queries), **_measured(recommender, entries, queries, folder, seed)}
    write_json(f"{folder}/{TABLE}", made)
    return made


def _files(entry: EntryPoint, folder: Path) -> dict[str, Path]:
    return {"onnx": folder / f"{entry.name}.onnx", "int8": folder / f"{entry.name}.int8.onnx"}


def _ask(recommender: Recommender, entries: list[EntryPoint], queries: ValidationQueries) -> None:
    """Record two batches of each entry point: of people with the longest pasts, and of others with the shortest."""
    by_past = np.argsort(-(queries.users.history > 0).sum(axis=1), kind="stable")
    if len(queries) < sum(_BATCHES):
        raise ExportError(f"export: found {len(queries)} clicks to ask with, expected at least {sum(_BATCHES)}")
    for some in (by_past[: _BATCHES[0]], by_past[-_BATCHES[1] :]):
        users, times = queries.users.take(some), queries.times[some]
        items: Ints = np.arange(1, 1 + len(some), dtype=np.int64)
        for entry in entries:
            with entry.recorded():
                _enter(recommender, entry, users, times, items)


def _enter(recommender: Recommender, entry: EntryPoint, users: Any, times: Ints, items: Ints) -> None:
    if entry.method == "forward":
        rows, _ = recommender.click_rows(users.take(np.array([0])), items, int(times[0]))
        recommender.models.ranker.logits(rows)
        return
    model = recommender.models.retrievers[entry.name.split(".")[1]]
    assert isinstance(model, NearestRetriever)
    if entry.method == "user_vectors":
        model.user_vectors(recommender.requests(users, times))
    else:
        model.item_vectors(int(times[0]), items)


def _write(entry: EntryPoint, folder: Path) -> None:
    files = _files(entry, folder)
    write_onnx(entry, files["onnx"])
    run, exact = run_onnx(files["onnx"]), entry.module()
    for tensors in entry.calls:
        expected = exact(*tensors)
        off = float((run(*tensors) - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
        if not off <= TOLERANCE:
            raise ExportError(f"{files['onnx']}: differs from torch by {off:.1e}, expected at most {TOLERANCE:.0e}")
    write_int8(files["onnx"], files["int8"])


def _measured(
    recommender: Recommender, entries: list[EntryPoint], queries: ValidationQueries, folder: Path, seed: int
) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {"torch": {}, "onnx": {}, "int8": {}}
    for entry in entries:
        for kind, file in _files(entry, folder).items():
            kinds[kind][entry.name] = run_onnx(file)
    found = {kind: lists(recommender, queries, instead, entries) for kind, instead in kinds.items()}
    networks = {}
    for entry in entries:
        files, asked = _files(entry, folder), entry.calls[0]
        calls = {"torch": entry.module(), **{kind: kinds[kind][entry.name] for kind in files}}
        spent = milliseconds(calls, asked)
        networks[entry.name] = {
            "inputs": {name: list(t.shape[1:]) for name, t in zip(entry.inputs, asked, strict=True)},
            "bytes": {kind: file.stat().st_size for kind, file in files.items()},
            f"milliseconds_batch_of_{len(asked[0])}": spent,
        }
    return {"networks": networks, "lists": {k: beside(v, found["torch"], queries, seed) for k, v in found.items()}}
