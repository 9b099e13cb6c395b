"""A terminal that is drawn on for a while: keys as they are pressed, and all as it was when we stop or end."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

END = "\x04"  # Ctrl-D, end of transmission
ENDING = (signal.SIGTERM, signal.SIGHUP)


class Keys:
    """The keys of the terminal on standard input, handed over as they are pressed; without one none comes.

    They are not shown, and need no Enter; Ctrl-C stays what it is.
    """

    def __init__(self) -> None:
        """The terminal is as it was."""
        self._before: list[Any] | None = None

    def grab(self) -> None:
        """Have the terminal hand over each key at once."""
        import termios
        import tty

        try:
            fd = sys.stdin.fileno()
            if os.tcgetpgrp(fd) == os.getpgrp():  # in the background the kernel would stop us for reading it
                self._before = termios.tcgetattr(fd)
                tty.setcbreak(fd)
        except (OSError, ValueError, termios.error):
            self._before = None  # no terminal: a file, a pipe, nothing at all

    def release(self) -> None:
        """Give the terminal back as it was."""
        import termios

        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):  # it is gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)

    def wait(self, seconds: float) -> str:
        """Wait so long for a key, and return it, "" for none; END where the terminal is gone."""
        heard = [sys.stdin] if self._before is not None else []
        if not select.select(heard, [], [], seconds)[0]:
            return ""
        try:
            return os.read(sys.stdin.fileno(), 64).decode("utf-8", "replace") or END
        except OSError:  # EIO: it has hung up
            return END


@contextmanager
def borrowed(keys: Keys, leave: Callable[[], object], enter: Callable[[], object]) -> Iterator[None]:
    """Grab the keys, and see that whoever stops or ends us finds the terminal as it was.

    Ctrl-Z calls `leave`, stops, and calls `enter` when it goes on; TERM and HUP become SystemExit.
    """
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGTSTP)}

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def stop(*_: Any) -> None:  # noqa: ANN401 (the frame is of no use)
        leave()
        keys.release()
        os.kill(os.getpid(), signal.SIGSTOP)
        keys.grab()
        enter()

    for number in ENDING:
        signal.signal(number, end)
    signal.signal(signal.SIGTSTP, stop)
    keys.grab()
    try:
        yield
    finally:
        keys.release()
        for number, handler in before.items():
            signal.signal(number, handler)
