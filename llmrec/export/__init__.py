"""The networks of a bundle as ONNX, in 32 bits and in 8, and what that costs in quality."""

from llmrec.export.stage import export

__all__ = ["export"]
