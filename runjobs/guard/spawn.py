"""Forking a guard, and speaking to one from the runner's side."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, NoReturn

from runjobs.adapters import process
from runjobs.adapters.launch import ignored_signals
from runjobs.guard.assignment import Passthrough
from runjobs.guard.life import guard
from runjobs.guard.messages import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.run import RunEnd
    from runjobs.guard.assignment import Assignment
    from runjobs.guard.messages import Stop

TITLE = "runjobs-guard"
STANDARD = {
    Passthrough.NONE: (0, 1, 2),
    Passthrough.TEXT: (0, 2),
    Passthrough.JSON: (0, 2),
    Passthrough.LIVE: (0,),
}


def warm() -> None:
    """Load what every guard needs, once, before the first fork: pages loaded here are shared by all of them."""
    process.warm()
    ignored_signals()


def make_channel() -> tuple[Channel, Channel]:
    """The runner's end and the guard's. The runner closes the guard's end once the guard is forked."""
    ours, guards = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    return Channel(ours), Channel(guards)


def spawn_guard(assignment: Assignment, record_alone: Callable[[RunEnd], None]) -> int:
    """Fork the guard of a run; returns its pid, in the caller alone.

    The guard calls `record_alone` with the end of the run when its runner is gone, or does not answer; it must
    do nothing when the end is recorded already. `warm` was called before. No ledger, timer
    or thread may be open in the caller.
    """
    pid = process.fork()
    if pid == 0:
        _become_guard(assignment, record_alone)
    return pid


def _become_guard(assignment: Assignment, record_alone: Callable[[RunEnd], None]) -> NoReturn:
    status = 70  # EX_SOFTWARE, sysexits(3): nobody reads it, a guard's end is told by its message
    try:
        stand_apart(STANDARD[assignment.mode], assignment.channel.fileno(), *assignment.lock_fds)
        process.adopt_orphans()
        guard(assignment, record_alone)
        status = 0
    finally:
        os._exit(status)


def stand_apart(silenced: tuple[int, ...], *kept: int) -> None:
    """Become a process of its own: these standard streams lead nowhere, and nothing but these descriptors is kept.

    Neither a terminal's Ctrl-C nor a signal to the runner's group reaches it or its job.
    """
    os.setsid()
    process.redirect_to_null(*silenced)
    process.close_others({0, 1, 2, *kept})
    process.set_title(TITLE)


def stop_guard(channel: Channel, pid: int, stop: Stop) -> None:
    """Tell a guard to end its job: the message says how, the signal wakes it even while its start hangs.

    Each message goes with just one SIGTERM; one without a message is a person's, who means the same.
    """
    channel.send(stop)
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, signal.SIGTERM)
