"""Runs a program that cannot outlive the process that started it: `leash.py PARENT PROGRAM …`.

A script of its own, so that no Python code runs between fork and exec of a process with threads.
"""

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1  # from <linux/prctl.h>


def die_with_parent(parent: int) -> None:
    """From here on this process is killed when its parent `parent` dies, however that dies.

    On Linux the kernel does it, once the *thread* that started this process is gone, and only for
    this process; elsewhere a watcher does it, for its whole process group.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        watch(parent, os.getpid())
    # It may have died before the kernel knew what we wanted.
    if os.getppid() != parent:
        os._exit(1)


def watch(parent: int, watched: int) -> None:
    """Leave a process behind that kills the group of `watched` when `parent` dies first."""
    if child := os.fork():
        os.waitpid(child, 0)
        return
    # The second fork hands the watcher to init: `watched` never sees a child it did not start.
    if os.fork():
        os._exit(0)
    try:
        os.setsid()
        _let_go_of_files()
        if _first_to_end(parent, watched) == parent:
            os.killpg(watched, signal.SIGKILL)
    finally:
        os._exit(0)


def _let_go_of_files() -> None:
    # A lock or a pipe of the watched process would live on in us.
    os.closerange(0, 4096)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)


def _first_to_end(parent: int, watched: int) -> int:
    if sys.platform == "linux":
        poll, pid_of = select.poll(), {}
        for pid in (parent, watched):
            try:
                pid_of[fd := os.pidfd_open(pid)] = pid
            except ProcessLookupError:
                return pid
            poll.register(fd, select.POLLIN)
        ended = {pid_of[fd] for fd, _ in poll.poll()}
        return watched if watched in ended else parent
    else:  # noqa: RET505  # mypy takes the line after the `if` for dead, but knows this `else`
        kinds = (select.KQ_FILTER_PROC, select.KQ_EV_ADD | select.KQ_EV_ONESHOT)
        events = [select.kevent(pid, *kinds, select.KQ_NOTE_EXIT) for pid in (parent, watched)]
        try:
            return int(select.kqueue().control(events, 1, None)[0].ident)
        except ProcessLookupError:
            return parent


def main(arguments: list[str]) -> None:
    parent, *program = arguments
    # Python ignores these at its own start, and what is ignored stays so after exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    die_with_parent(int(parent))
    try:
        os.execvp(program[0], program)  # noqa: S606  # the program is ours; no shell is the point
    except OSError as error:
        sys.exit(f"{program[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
