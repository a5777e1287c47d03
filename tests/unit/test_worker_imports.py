"""What a fresh worker process loads before its first task: seconds that each of a cluster's processes pays."""

import subprocess
import sys

#: Rooms whose tasks run in every pipeline, and libraries that only some of their methods need.
LOADED = """
import sys
import llmrec.corpus, llmrec.encoding.job.distributed, llmrec.features.build.driver
print([name for name in ("scipy.stats", "sklearn", "torch", "lightgbm", "ray.data", "vllm") if name in sys.modules])
"""


def test_corpus_encoding_and_features_load_no_library_that_takes_seconds() -> None:
    assert subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True).stdout == "[]\n"


def test_servers_load_nothing_that_only_fitting_needs() -> None:
    fitting = ("scipy.stats", "sklearn", "lightgbm", "vllm")
    code = f"import sys, serve_app.app; print([name for name in {fitting} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
