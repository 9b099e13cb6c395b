"""The output of a run on its way from the job's pipes to its log and to whoever looks on."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import termios
from typing import TYPE_CHECKING

from runjobs.adapters.outlet import JSON_LINE, Outlet, Passage, frame_json, frame_text
from runjobs.guard.assignment import Passthrough

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.adapters.joblog import JobLog
    from runjobs.guard.assignment import Assignment

F_SETPIPE_SZ = 1031  # linux/fcntl.h; in the fcntl module since 3.10, where the libc has it
FIRST = 65_536  # the size of a pipe, pipe(7)
LARGE = 1_048_576  # /proc/sys/fs/pipe-max-size: what a user may ask for
PIECE = 262_144


class Source:
    """The reading end of one of the job's pipes, and where its output is passed on to, if anywhere."""

    def __init__(self, descriptor: int, to: Outlet | Passage | None) -> None:
        """Read from this descriptor, which is ours to close; only when there is something, so it never blocks."""
        self.descriptor = descriptor
        self.to = to
        self._piece = FIRST

    @property
    def is_open(self) -> bool:
        """Whether more may come."""
        return self.descriptor >= 0

    @property
    def is_held_back(self) -> bool:
        """Whether the reader of our output has to take some first."""
        return self.to is not None and self.to.is_patient and self.to.is_pending

    def read(self) -> bytes:
        """What is there, up to a piece; at the end of the pipe it is closed."""
        data = os.read(self.descriptor, self._piece)
        if not data:
            self.close()
        elif len(data) == FIRST == self._piece:
            self._grow()
        return data

    def read_present(self) -> Iterator[bytes]:
        """What is in the pipe at this moment, and not what comes meanwhile."""
        if not self.is_open:
            return
        count = array.array("i", [0])
        fcntl.ioctl(self.descriptor, termios.FIONREAD, count)
        left = count[0]
        while left > 0 and self.is_open:
            data = os.read(self.descriptor, min(left, PIECE))
            left -= len(data)
            yield data

    def has_writers(self) -> bool:
        """Whether a process still holds the other end."""
        if not self.is_open:
            return False
        poller = select.poll()
        poller.register(self.descriptor, 0)
        return not poller.poll(0)  # POLLHUP needs no asking for: all writing ends are closed

    def close(self) -> None:
        """Read no more."""
        if self.is_open:
            os.close(self.descriptor)
            self.descriptor = -1

    def _grow(self) -> None:
        """A job that fills its pipe gets a larger one; only then, because what a user may have is limited in all."""
        self._piece = PIECE
        try:
            fcntl.fcntl(self.descriptor, F_SETPIPE_SZ, LARGE)
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOMEM, errno.EBUSY}:
                raise


class Pump:
    """Moves output along whenever there is some. Only a person's terminal may hold the job back, never the guard."""

    def __init__(self, log: JobLog, sources: list[Source]) -> None:
        """Feed this log from these sources."""
        self.log = log
        self._sources = sources

    @property
    def is_pending(self) -> bool:
        """Whether something waits for the reader of our streams."""
        return any(source.to is not None and source.to.is_pending for source in self._sources)

    def interests(self) -> Iterator[tuple[int, int]]:
        """What to poll, and for what."""
        for source in self._sources:
            if source.to is not None and source.to.is_pending:
                yield source.to.descriptor, select.POLLOUT
            if source.is_open and not source.is_held_back:
                yield source.descriptor, select.POLLIN

    def turn(self, ready: set[int]) -> None:
        """Move along what the poll has found ready."""
        for source in self._sources:
            if source.to is not None and source.to.is_pending and source.to.descriptor in ready:
                source.to.flush()
            if source.descriptor in ready and not source.is_held_back:
                self._take(source, source.read())

    def take_present(self) -> None:
        """Take what is in the pipes now: with the main process gone, that is the end of its output."""
        for source in self._sources:
            self._take_present(source)
            if source.is_open and not source.has_writers():
                self._take_present(source)  # what the last writer said after our look; more can't come
                source.close()
            if source.to is not None:
                source.to.finish()

    @property
    def is_open(self) -> bool:
        """Whether more may come; after `take_present` this means that a background child holds a pipe."""
        return any(source.is_open for source in self._sources)

    def let_go(self) -> None:
        """Pass nothing on any more."""
        for source in self._sources:
            if source.to is not None:
                source.to.close()
                source.to = None

    def _take_present(self, source: Source) -> None:
        for data in source.read_present():
            self._take(source, data)

    def _take(self, source: Source, data: bytes) -> None:
        self.log.write(data)
        if source.to is not None:
            source.to.feed(data)


def open_pump(assignment: Assignment, log: JobLog) -> tuple[Pump, int, int]:
    """A pump, and the writing ends for the job's stdout and stderr: two pipes where the two stay apart, else one."""
    stdout, write_out = os.pipe2(os.O_CLOEXEC)
    if assignment.mode is not Passthrough.LIVE:
        return Pump(log, [Source(stdout, _outlet(assignment))]), write_out, write_out
    stderr, write_err = os.pipe2(os.O_CLOEXEC)
    return Pump(log, [Source(stdout, _passage(1)), Source(stderr, _passage(2))]), write_out, write_err


def _passage(descriptor: int) -> Passage | None:
    with contextlib.suppress(OSError):  # closed by who called us: the log has it all
        return Passage(descriptor)
    return None


def _outlet(assignment: Assignment) -> Outlet | None:
    name = assignment.job.name
    with contextlib.suppress(OSError):
        if assignment.mode is Passthrough.TEXT:
            return Outlet(1, frame_text(f"{name} | ".encode("utf-8", "backslashreplace")))
        if assignment.mode is Passthrough.JSON:
            return Outlet(1, frame_json(name, assignment.run_id), JSON_LINE)
    return None
