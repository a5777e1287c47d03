"""A driver that a test can kill: encodes the corpus `hand` under ROOT with the stub engine, on a cluster of 2 CPUs."""

import sys
from pathlib import Path

from encoding_stub import run_config, stub_factory

from jobs.cluster import start_local
from llmrec.encoding import encode
from llmrec.storage import Storage


def main(root: str, ledger: str, seconds_a_text: str) -> None:
    start_local(2, log_to_driver=False, configure_logging=False)
    storage = Storage(root)
    corpus = storage.find("corpus", "hand")
    assert corpus is not None
    factory = stub_factory(ledger=Path(ledger), seconds_a_text=float(seconds_a_text))
    made = encode(run_config(root, batch_texts=BATCH), storage, corpus, factory=factory)
    print(made.id)


BATCH = 50

if __name__ == "__main__":
    main(*sys.argv[1:])
