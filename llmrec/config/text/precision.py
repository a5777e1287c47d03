"""The number type that products are made in where the configuration names none."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

Precision = Literal["bfloat16", "float16", "float32"]
#: Flags of /proc/cpuinfo: units that multiply bfloat16. CPUs without any do it a bit at a time (benchmarks/RESULTS.md).
_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}


@lru_cache(maxsize=1)
def usual_precision() -> Literal["bfloat16", "float32"]:
    """bfloat16 on CPUs that have units for it, float32 on all others."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return "float32"
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return "bfloat16" if _UNITS & set(flags.split()) else "float32"
