"""Word to a supervisor such as systemd, by the protocol of sd_notify(3): datagrams, and nobody waits for an answer."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"
MOST_LEFT: Final = 8  # words that nobody has taken yet; the oldest go first


class Notifier:
    """Tells one supervisor. `watchdog` is how many seconds it goes without a word of life (None: for ever)."""

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        """Speak to the socket of this address: a path, or with @ in front a name that is in no file system."""
        self.watchdog = watchdog
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._left: list[bytes] = []

    @property
    def has_words_left(self) -> bool:
        """Whether there is something that the supervisor had no room for."""
        return bool(self._left)

    def send(self, **words: str) -> None:
        """Say `NAME=word` for each; where the supervisor has no room for it just now, `flush` says it again."""
        lines = (f"{name}={word}" for name, word in words.items())
        self._left = [*self._left, "\n".join(lines).encode("utf-8", "backslashreplace")][-MOST_LEFT:]
        self.flush()

    def flush(self) -> None:
        """Say what is left to be said. A supervisor that is gone, or that will not hear us, is not asked again."""
        with contextlib.suppress(BlockingIOError):
            while self._left:
                with contextlib.suppress(FileNotFoundError, ConnectionError, PermissionError):
                    self._socket.sendto(self._left[0], self._address)
                self._left.pop(0)

    def close(self) -> None:
        """Say no more."""
        self._socket.close()


def take_notifier(environ: MutableMapping[str, str]) -> Notifier | None:
    """Who is to be told, by these variables, which are gone afterwards: they are nobody else's business."""
    address, usec, pid = (environ.pop(name, "") for name in (SOCKET, WATCHDOG, WATCHDOG_PID))
    if not address.startswith(("/", "@")):
        return None
    is_ours = not pid or pid == str(os.getpid())
    watchdog = int(usec) / 1e6 if usec.isdecimal() and int(usec) and is_ours else None
    return Notifier(address, watchdog)


def monotonic_usec() -> str:
    """The time that goes with RELOADING, by which the supervisor knows which order it answers."""
    return str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
