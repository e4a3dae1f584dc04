"""Become another program that ends with its parent: ``python -I -S guard.py PARENT SIGNAL UID GID PROGRAM ARGS...``.

Run by path, as a script of its own: the user to become may not be able to read the project's directory. The signal is
asked for after the change of user, which would clear it (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Change the user, ask for the signal, and become the program."""
    parent, signum, uid, gid = (int(word) for word in sys.argv[1:5])
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
