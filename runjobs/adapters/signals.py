"""Signals as something to wait for: each one that arrives is a byte on a descriptor."""

from __future__ import annotations

import contextlib
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Signals:
    """Catches the given signals from here on; `fd` is readable as soon as one has arrived."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        """Install the handlers; they only write the number, signal.set_wakeup_fd."""
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _nothing)

    @property
    def fd(self) -> int:
        """The descriptor to wait on."""
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """The signals that have arrived since the last call, in order."""
        with contextlib.suppress(BlockingIOError):
            return [signal.Signals(number) for number in self._reader.recv(4096)]
        return []


def _nothing(number: int, frame: object) -> None:
    """A handler must exist for the wake-up to be written; what is done about it is the loop's business."""
