"""A second node for a local cluster."""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.local import LocalCluster, free_port


@contextmanager
def second_node(cluster: LocalCluster, within: Callable[[list[str]], list[str]] = list) -> Iterator[None]:
    """Two CPUs and one logical GPU join, until the block ends; the cluster knows them some seconds after it began.

    Where Ray gives the node up because a busy machine answers late, it is started again, as `jobs.local` does with a
    head. `within`: the command as it is run.
    """
    ended, nodes, said = threading.Event(), list[subprocess.Popen[bytes]](), Path(tempfile.mkdtemp()) / "stderr"

    def start() -> None:
        command = [str(Path(sys.executable).parent / "ray"), "start", f"--address={cluster.address}", "--num-cpus=2",
                   "--num-gpus=1", "--block", f"--dashboard-agent-listen-port={free_port()}"]  # fmt: skip
        with said.open("w") as err:
            node = subprocess.Popen(
                within(command), env=cluster.environment, stdout=subprocess.DEVNULL, stderr=err, start_new_session=True
            )
        nodes.append(node)

    def again() -> None:
        for _ in range(2):
            nodes[-1].wait()
            if ended.is_set() or "timed out during startup" not in said.read_text():
                return
            start()

    start()
    watcher = threading.Thread(target=again, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        nodes[-1].terminate()
        nodes[-1].wait(90)
        watcher.join()
