"""Becoming a daemon, daemon(7), while the shell that asked for it waits for word of how the start went."""

from __future__ import annotations

import contextlib
import os
from typing import Final, NamedTuple

UMASK: Final = 0o077
READY: Final = b"\0"  # before and after the exit code; no message has such a byte in it
WORDS: Final = 2
DIED: Final = 70  # EX_SOFTWARE, sysexits(3)


class Link:
    """The daemon's end: until the start is settled its standard error is a pipe to who asked for it."""

    def __init__(self, writer: int, umask: int) -> None:
        """Say what there is to say through `writer`; `umask` is what the caller's was."""
        self.umask = umask
        self._writer = writer

    def settle(self, exit_code: int) -> None:
        """Have the caller return this, and from here on speak to nobody; a second word is not heard."""
        if self._writer < 0:
            return
        with contextlib.suppress(BrokenPipeError):  # the caller was ended: the daemon stays, as it was asked to
            os.write(self._writer, READY + b"%d" % exit_code + READY)
        os.close(self._writer)
        self._writer = -1
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):
            os.dup2(null, descriptor)
        os.close(null)


class Waited(NamedTuple):
    """What came of a start, for the caller: its exit code, and what the daemon had to say until then."""

    exit_code: int
    message: bytes
    has_died: bool = False


def detach() -> Link | Waited:
    """Go on as a daemon, which gets a Link; the caller gets the exit code, once the daemon has settled that.

    The daemon leads no session and has no terminal, is in /, has a umask of 077, and no descriptor but the three
    standard ones: input and output are /dev/null, and so is error as soon as the start is settled. Call it with
    nothing open that the daemon needs.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    first = os.fork()
    if first:
        os.close(writer)
        os.waitpid(first, 0)
        return _wait(reader)
    os.setsid()
    if os.fork():  # who leads a session may be given a terminal again, by opening one
        os._exit(0)
    umask = os.umask(UMASK)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for source, descriptor in ((null, 0), (null, 1), (writer, 2)):
        os.dup2(source, descriptor)
    os.closerange(3, writer)
    os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
    return Link(writer, umask)


def _wait(reader: int) -> Waited:
    """Read what the daemon says until it says how the start went; if it says no more, it is dead."""
    said = b""
    while said.count(READY) < WORDS and (data := os.read(reader, 65_536)):
        said += data
    os.close(reader)
    message, _, code = said.partition(READY)
    return Waited(int(code[:-1]), message) if code.endswith(READY) else Waited(DIED, message, has_died=True)
