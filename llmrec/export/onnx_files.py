"""Files of ONNX: written by torch, made smaller by ONNX Runtime, run by it."""

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from llmrec.export.entry_points import Entered, EntryPoint

OUTPUT = "output"
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


class ExportError(ValueError):
    """What cannot be exported."""


def write_onnx(entry: EntryPoint, file: Path) -> None:
    """The entry point with 32-bit weights. Axes in which the recorded calls differ may have any length."""
    if len(entry.calls) < 2:
        raise ExportError(f"{entry.name}: was asked {len(entry.calls)} times, expected two batches of different sizes")
    if missing := [package for package in _PACKAGES if find_spec(package) is None]:
        raise ExportError(
            f"export: needs {', '.join(missing)}, not installed; `pip install 'llmrec[export]'` brings them"
        )
    example = entry.calls[0]
    with warnings.catch_warnings(), _silent("torch.onnx"):
        warnings.simplefilter("ignore")  # of torch's own making
        program = torch.onnx.export(
            entry.module(), example, dynamo=True, verbose=False, input_names=entry.inputs, output_names=[OUTPUT],
            dynamic_shapes=(tuple(_free(tensors) for tensors in zip(*entry.calls, strict=True)),),
        )  # fmt: skip
    assert program is not None
    program.save(str(file), external_data=False)


def _free(tensors: tuple[Tensor, ...]) -> dict[int, object]:
    return {axis: torch.export.Dim.AUTO for axis, sizes in enumerate(zip(*(t.shape for t in tensors), strict=True))
            if len(set(sizes)) > 1}  # fmt: skip


def write_int8(file: Path, smaller: Path) -> None:
    """The same with weights of 8 bits, a scale a tensor; activations are quantised as they come.

    Dynamic quantisation: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _silent("root"):  # advises a pre-processing for images
        quantize_dynamic(str(file), str(smaller), weight_type=QuantType.QInt8)


def run_onnx(file: Path) -> Entered:
    """What the file computes, by ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def run(*tensors: Tensor) -> Tensor:
        arrays = (np.ascontiguousarray(t.numpy()) for t in tensors)
        return torch.from_numpy(session.run([OUTPUT], dict(zip(names, arrays, strict=True)))[0])

    return run


class _silent:
    """A logger that says errors only, for a `with` block."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(None if name == "root" else name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)
