"""Run as a script in a process of its own, since vLLM allows one engine a process.

`encoding_engine_script.py CONFIG.json TEXTS.json OUT.npz`: the texts' vectors as `make_encoder` gives them, twice: in
one call, and one by one in reverse order.
"""

import json
import sys
from pathlib import Path

import numpy as np

from llmrec.config import EncoderConfig
from llmrec.encoding import make_encoder


def main(config: str, texts: str, out: str) -> None:
    encoder = make_encoder(EncoderConfig.model_validate_json(Path(config).read_text()), threads=2)
    rows = json.loads(Path(texts).read_text())
    together = encoder.encode(rows)
    alone = np.concatenate([encoder.encode([row], "query").vectors for row in reversed(rows)])[::-1]
    np.savez(
        out, together=together.vectors, alone=alone, n_tokens=together.n_tokens, n_unknown=together.n_unknown,
        empty=encoder.encode([]).vectors, dim=encoder.dim,
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
