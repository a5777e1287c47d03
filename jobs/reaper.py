"""Ends what a killed process leaves behind: Ray's agents outlive a raylet whose driver got SIGKILL.

python jobs/reaper.py PID: a child of PID that remembers PID's descendants and, once PID is gone, kills those that stay.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress

import psutil

LOOK_EVERY_S = 1.0
GRACE_S = 3.0


def watch_over_this_process() -> None:
    """Start the reaper of this process; it ends with it."""
    subprocess.Popen([sys.executable, __file__, str(os.getpid())], start_new_session=True)


def reap(parent: int) -> None:
    """Wait until `parent`, this process's own, is gone; give its descendants GRACE_S, then kill them."""
    family: set[psutil.Process] = set()
    while os.getppid() == parent:
        with suppress(psutil.Error):
            family.update(psutil.Process(parent).children(recursive=True))
        family = {process for process in family if process.is_running() and process.pid != os.getpid()}
        time.sleep(LOOK_EVERY_S)
    _, alive = psutil.wait_procs(family, timeout=GRACE_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    reap(int(sys.argv[1]))
