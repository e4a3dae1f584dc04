"""Child processes that never outlive their parent, and ending them."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.5


def die_with_parent(parent: int, signum: int = signal.SIGTERM) -> None:
    """Have this process receive ``signum`` when ``parent`` ends, however it ends; exit if it already has.

    On Linux the kernel does it (prctl(2), PR_SET_PDEATHSIG); elsewhere a thread looks every ``POLL_S`` seconds.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)
    else:
        threading.Thread(target=_watch, args=(parent, signum), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int, signum: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signum)


def stop(process: "subprocess.Popen[bytes]", signum: int = signal.SIGTERM, patience_s: float = 5.0) -> int:
    """Send ``signum``, wait, kill what is still there after ``patience_s``; return the exit code."""
    if process.poll() is None:
        process.send_signal(signum)
    try:
        return process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def alive(pid: int) -> bool:
    """Return whether a process of that id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
