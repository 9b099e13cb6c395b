"""Signals as something to wait for: those that arrive are kept, and a byte on a descriptor tells of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST: Final = 2  # of a kind: the second word to stop means more than the first, a third means nothing else


class Signals:
    """Catches the given signals from here on; `fd` is readable as soon as one has arrived."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        """Install the handlers. None of these signals is held back any more; others stay as our parents left them."""
        self._came: list[int] = []
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        caught = list(numbers)
        for number in caught:
            signal.signal(number, self._keep)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)  # a parent may have held them back, and a mask is inherited

    @property
    def fd(self) -> int:
        """The descriptor to wait on."""
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that have arrived since the last call, in order; of each kind two at the most."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)  # first: what comes after this is in the record, or there is a byte again
        came, self._came = self._came, []
        return [signal.Signals(number) for number in came]

    def _keep(self, number: int, _frame: object) -> None:
        """Record it. The byte, signal.set_wakeup_fd, only wakes: in a flood the socket is full, and bytes are lost.

        An append can't be torn by another handler; Python calls this at the latest when the call that was interrupted
        returns, so when the byte has been read the record has been made.
        """
        if self._came.count(number) < MOST:
            self._came.append(number)


class Terminal:
    """The terminal that a process belongs to, if it does: SIGHUP means another thing once that has hung up."""

    def __init__(self) -> None:
        """Look whether there is one. Who ignores SIGHUP, as under nohup(1), does not care what becomes of it."""
        self._matters = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN and _has_terminal()

    def has_hung_up(self) -> bool:
        """Whether there was one, and is none any more."""
        return self._matters and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:  # ENXIO: none; EIO: it has hung up
        return False
    return True


def die_as_others_do() -> None:
    """Have TERM and QUIT end this process, if it is PID 1, until somebody listens to them.

    The kernel drops what PID 1 has no handler for, pid_namespaces(7): whoever stops a container would wait in vain.
    INT has one: Python's own.
    """
    if os.getpid() == 1:
        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
