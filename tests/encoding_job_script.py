"""A driver that a test can kill: encodes the corpus `hand` under ROOT with the stub engine, on a cluster of 2 CPUs."""

import sys
from pathlib import Path

import ray
from encoding_stub import run_config, stub_factory

from llmrec.encoding import encode
from llmrec.storage import Storage


def main(root: str, ledger: str, seconds_a_text: str) -> None:
    start_ray()
    storage = Storage(root)
    corpus = storage.find("corpus", "hand")
    assert corpus is not None
    factory = stub_factory(ledger=Path(ledger), seconds_a_text=float(seconds_a_text))
    made = encode(run_config(root, batch_texts=BATCH), storage, corpus, factory=factory)
    print(made.id)


def start_ray(tries: int = 4) -> None:
    """A node of its own; on a machine that is busy elsewhere it may miss Ray's fixed 30 s, so try again."""
    for left in reversed(range(tries)):
        try:
            ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
            return
        except Exception:
            if not left:
                raise
            ray.shutdown()


BATCH = 50

if __name__ == "__main__":
    main(*sys.argv[1:])
