"""Ties a program to the process that starts it: `python -I -S tether.py PARENT_PID ARGV...` becomes ARGV.

The kernel then kills the program when its parent dies, also when the program is frozen and could notice nothing.
Where the kernel cannot do that (only Linux can), the end of stdin is all there is.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Becomes the program; ends instead where the parent is gone already."""
    parent, *program = argv
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
