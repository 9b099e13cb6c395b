"""Processes from the inside: who they are, adopting orphans, signals, limits, and reaping."""

from __future__ import annotations

import functools
import os
import resource
import signal
import struct
import sys
from typing import Any, NamedTuple

from runjobs.core.outcome import Exit
from runjobs.core.procstat import parse_stat
from runjobs.core.run import ProcessId

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15  # linux/prctl.h
PR_SET_CHILD_SUBREAPER = 36
SFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK  # SFD_CLOEXEC and SFD_NONBLOCK are these, signalfd(2)
SIGNAL_INFO = struct.Struct("@I8xII108x")  # struct signalfd_siginfo: ssi_signo, ssi_pid, ssi_uid
EVERY_SIGNAL = b"\xff" * 128  # a sigset_t; SIGKILL and SIGSTOP can't be held back, and glibc leaves out its own two
HEARD = (1 << (signal.SIGTERM - 1) | 1 << (signal.SIGCHLD - 1)).to_bytes(8, sys.byteorder).ljust(128, b"\0")
# Python ignores these itself, and subprocess gives them back to the child (restore_signals)
IGNORED_BY_PYTHON = frozenset({signal.SIGPIPE, signal.SIGXFSZ})


class Used(NamedTuple):
    """What ended processes used: seconds of CPU, bytes of memory at the most, blocks and switches."""

    cpu_user: float = 0.0
    cpu_system: float = 0.0
    max_rss: int = 0
    blocks_in: int = 0
    blocks_out: int = 0
    switches_voluntary: int = 0
    switches_involuntary: int = 0

    def plus(self, usage: resource.struct_rusage) -> Used:
        """Add what wait4(2) tells of one more process: sums, but for memory, which is the largest."""
        return Used(
            self.cpu_user + usage.ru_utime,
            self.cpu_system + usage.ru_stime,
            max(self.max_rss, usage.ru_maxrss * 1024),  # Linux counts in KiB, getrusage(2)
            self.blocks_in + usage.ru_inblock,
            self.blocks_out + usage.ru_oublock,
            self.switches_voluntary + usage.ru_nvcsw,
            self.switches_involuntary + usage.ru_nivcsw,
        )

    def above(self, floor: int) -> Used:
        """Say nothing (0) of memory that a process may only have had from its fork: exec(2) keeps the peak."""
        return self if self.max_rss > floor + 1_000_000 else self._replace(max_rss=0)


class Reaped(NamedTuple):
    """A child that has ended and is gone for good."""

    pid: int
    end: Exit
    usage: resource.struct_rusage


class Heard(NamedTuple):
    """A signal that came, and who sent it."""

    number: int
    pid: int
    uid: int


@functools.cache
def _libc() -> Any:  # noqa: ANN401 (a library has the functions that it has)
    import ctypes  # 5 ms: only who forks guards pays it

    return ctypes.PyDLL(None, use_errno=True)  # holds the interpreter's lock: these calls are short, and one forks


@functools.cache
def _here() -> tuple[str, int]:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip(), os.stat("/proc/self/ns/pid").st_ino


@functools.cache
def _null() -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


@functools.cache
def _mask() -> Any:  # noqa: ANN401 (ctypes makes the type of a buffer when it is asked for one)
    import ctypes

    return ctypes.create_string_buffer(len(EVERY_SIGNAL))


@functools.cache
def _most_files() -> int:
    return os.sysconf("SC_OPEN_MAX")


def warm() -> None:
    """Load and find out, before the first fork, what each guard would otherwise load and find out for itself."""
    _libc()
    _here()
    _null()
    _mask()
    _most_files()
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it makes the kernel reap: exit codes would be lost


def fork() -> int:
    """Fork: 0 in the child, its pid in the parent; OSError when no process can be made.

    The child holds back all signals, so that none reaches it while it still has its parent's handlers. It is
    fork(2) itself: os.fork runs in the child what modules registered to mend their threads' locks, which takes
    0.3 ms and touches 1.1 MiB of memory that is then no longer shared. With threads it is os.fork after all.
    """
    libc, before = _libc(), _mask()
    libc.pthread_sigmask(signal.SIG_SETMASK.value, EVERY_SIGNAL, before)
    pid = os.fork() if _has_threads() else libc.fork()
    if pid:
        libc.pthread_sigmask(signal.SIG_SETMASK.value, before, None)
    if pid < 0:
        import ctypes

        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(pid)


def _has_threads() -> bool:
    return os.stat("/proc/self/task").st_nlink > 3  # noqa: PLR2004 (., .. and one folder for each thread)


def adopt_orphans() -> None:
    """Become the new parent of all descendants whose parent ends, prctl(2): nothing escapes by a double fork."""
    _libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Be killed when the parent dies, prctl(2); a child of ours is not, nor are we after a change of user."""
    _libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL.value, 0, 0, 0)


def set_title(title: str) -> None:
    """Set the name that ps shows (its first 15 bytes), prctl(2)."""
    _libc().prctl(PR_SET_NAME, title.encode(), 0, 0, 0)


def identity(pid: int) -> ProcessId | None:
    """Who has this pid now; None when nobody has."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = parse_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return ProcessId(pid, stat.start_time, *_here())


def gone(pid: int) -> ProcessId:
    """Somebody of this boot and namespace who had this pid and is gone: its start is not known any more."""
    return ProcessId(pid, 0, *_here())


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still exists (as a zombie too): same pid, start time, boot and pid namespace."""
    return is_here(process) and identity(process.pid) == process


def is_here(process: ProcessId) -> bool:
    """Whether its pid means anything here: same boot, same pid namespace."""
    return (process.boot_id, process.pid_namespace) == _here()


def open_signals() -> int:
    """A descriptor that delivers SIGTERM and SIGCHLD while all signals are held back: `read_signals` reads it.

    A guard has no signal handlers: nothing can interrupt it, and the other signals do nothing to it.
    """
    return int(_libc().signalfd(-1, HEARD, SFD_FLAGS))


def read_signals(descriptor: int) -> list[Heard]:
    """The signals that came. Call it when the descriptor is readable."""
    return [Heard(*info) for info in SIGNAL_INFO.iter_unpack(os.read(descriptor, 32 * SIGNAL_INFO.size))]


def default_signals() -> None:
    """Give every signal its default back, what our own parents ignored too, and hold none back."""
    signal.set_wakeup_fd(-1)  # the runner's
    for number in signal.valid_signals() - IGNORED_BY_PYTHON:
        disposition = signal.getsignal(number)
        if disposition is not None and disposition != signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def limit_files(limits: tuple[int, int]) -> None:
    """Set the soft and hard limit of open files, for this process and the children to come."""
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def close_others(keep: set[int]) -> None:
    """Close every descriptor but these."""
    low = 0
    for descriptor in (*sorted(keep), _most_files()):
        if low < descriptor:  # an empty range would be taken for all of them, up to the last
            os.closerange(low, descriptor)
        low = descriptor + 1


def redirect_to_null(*descriptors: int) -> None:
    """Point descriptors at /dev/null: nothing of what they were is held any longer. Before `close_others`."""
    for descriptor in descriptors:
        os.dup2(_null(), descriptor)


def reap() -> Reaped | None:
    """Reap one child that has ended; None when none has. ChildProcessError: there are no children at all.

    It looks first and then waits for just that pid: waitpid(-1) would take children from under others' hands.
    """
    seen = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if seen is None:
        return None
    pid, status, usage = os.wait4(seen.si_pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return Reaped(pid, Exit(signal=-code) if code < 0 else Exit(code=code), usage)
