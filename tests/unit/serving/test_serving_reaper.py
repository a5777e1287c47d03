"""A process that gets SIGKILL leaves nothing behind."""

import signal
import subprocess
import sys
import time

import psutil

PARENT = """
import subprocess, sys, time
from jobs.reaper import watch_over_this_process
watch_over_this_process()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_children_of_a_killed_process_are_gone_after_ten_seconds() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        time.sleep(2)  # the reaper has looked
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) == 2
        parent.send_signal(signal.SIGKILL)
    assert child.is_running()
    gone, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert child in gone
