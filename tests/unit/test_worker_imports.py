"""What a fresh worker process loads before its first task: seconds that each of a cluster's processes pays."""

import subprocess
import sys

from jobs.serve import SETTINGS

#: Rooms whose tasks run in every pipeline, and libraries that only some of their methods need.
LOADED = """
import sys
import llmrec.corpus, llmrec.encoding.job.distributed, llmrec.features.build.driver
print([name for name in ("scipy.stats", "sklearn", "torch", "lightgbm", "ray.data", "vllm") if name in sys.modules])
"""


def test_corpus_encoding_and_features_load_no_library_that_takes_seconds() -> None:
    assert subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True).stdout == "[]\n"


def test_the_ingress_loads_nothing_that_only_fitting_and_scoring_need() -> None:
    slow = ("scipy.stats", "sklearn", "lightgbm", "torch", "vllm")
    code = f"import sys, serve_app.app; print([name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_proxy_does_not_load_the_application() -> None:
    """One that died is back as soon as its process has started."""
    module, _, function = SETTINGS["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"].partition(":")
    slow = ("ray", "torch", "numpy", "pydantic")
    code = f"import sys, {module} as m; print(len(m.{function}()), [name for name in {slow} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1 []\n"
