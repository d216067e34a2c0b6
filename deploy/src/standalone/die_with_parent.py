"""Run by path, not imported: become the given program, killed by the kernel when the parent ends.

`python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT...`

A program of its own and not a `preexec_fn`, because that forks a process that has threads, which can
deadlock and is a warning from Python 3.12 on. The process id does not change: the last step is `exec`.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Ask for the signal, then exec; exits with 127 and one line when the program cannot be run."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit(1)
    try:
        os.execvp(program[0], program)  # noqa: S606 - the point of this file
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
