"""Writing to a standard stream that others write to as well, and never waiting for its reader."""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Frame = Callable[[bytes], bytes]

ATOMIC = 4096  # PIPE_BUF: up to here what several guards write to one pipe doesn't mix, pipe(7)
ROOM = 262_144  # bytes that wait for a slow reader; of what comes then, whole lines are dropped and counted
SLICE = 16_384  # bytes framed at a time, so that a fast reader keeps the buffer from filling
TEXT_LINE = 3_500  # bytes; longer lines are cut in pieces, which leaves room for the prefix in an atomic write
JSON_LINE = 600  # bytes; as JSON one byte becomes six at the most (\\u0000), and names go with it


class Stream:
    """A descriptor that is written to without waiting, whatever others do with it.

    Setting O_NONBLOCK would set it for everybody who shares the stream. A pipe or terminal is opened anew instead,
    which gives a description of our own; where that is forbidden, or it is a socket, each write says not to wait.
    """

    def __init__(self, descriptor: int) -> None:
        """Use this descriptor, which stays the caller's."""
        mode = os.fstat(descriptor).st_mode
        self.descriptor = descriptor
        self.is_gone = False
        self._reopened = -1
        self._socket: socket.socket | None = None
        self._write: Callable[[bytes | bytearray | memoryview], int] = functools.partial(os.write, descriptor)
        if stat.S_ISSOCK(mode):
            self._socket = ours = socket.socket(fileno=os.dup(descriptor))
            self._write = lambda data: ours.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            self._reopen()

    def _reopen(self) -> None:
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            self._reopened = os.open(f"/proc/self/fd/{self.descriptor}", flags)
        except OSError:  # another user's pipe, as in a container whose uid is not that of its engine
            self._write = self._write_nowait
        else:
            self._write = functools.partial(os.write, self._reopened)

    def _write_nowait(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return os.pwritev(self.descriptor, [data], -1, os.RWF_NOWAIT)  # pipes know it since Linux 6.5
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
                raise
        # not more than what POLLOUT promises room for: it waits only if another writer was faster just now
        return os.write(self.descriptor, data[:ATOMIC]) if self._is_ready() else 0

    def _is_ready(self) -> bool:
        poller = select.poll()
        poller.register(self.descriptor, select.POLLOUT)
        return bool(poller.poll(0))

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write as much as is taken now, and say how much that was; once the reader is gone all of it goes nowhere."""
        if self.is_gone:
            return len(data)
        try:
            return self._write(data)
        except BlockingIOError:
            return 0
        except OSError:  # EPIPE: nobody reads it. EIO: the terminal is gone. ENOSPC: a file that can't grow
            self.is_gone = True
            return len(data)

    def close(self) -> None:
        """Close what was opened here."""
        if self._reopened >= 0:
            os.close(self._reopened)
            self._reopened = -1
        if self._socket is not None:
            self._socket.close()


class _Queue:
    """Bytes on their way to a stream, as far as it has not taken them yet."""

    def __init__(self, descriptor: int) -> None:
        """Write to this descriptor."""
        self._stream = Stream(descriptor)
        self._waiting = bytearray()

    @property
    def descriptor(self) -> int:
        """What to poll for POLLOUT while bytes are pending."""
        return self._stream.descriptor

    @property
    def is_pending(self) -> bool:
        """Whether bytes wait for the reader."""
        return bool(self._waiting)

    def close(self) -> None:
        """Close what was opened here; bytes that nobody took are gone."""
        self._stream.close()


class Passage(_Queue):
    """Passes bytes on untouched. While some are pending, read no more: the writer waits as at a shell's pipe."""

    @property
    def is_patient(self) -> bool:
        """A passage holds its source back rather than drop anything."""
        return True

    def feed(self, data: bytes) -> None:
        """Pass on what came."""
        if not self._waiting:
            data = data[self._stream.write(data) :]
        self._waiting += data
        self.flush()

    def flush(self) -> None:
        """Pass on what is taken now."""
        while self._waiting:
            written = self._stream.write(self._waiting[:ROOM])
            if not written:
                return
            del self._waiting[:written]

    def finish(self) -> None:
        """There will be no more."""


class Outlet(_Queue):
    """Passes lines on, each made complete by `frame`, in writes that don't mix with those of others.

    Nothing waits for the reader: when it is slow, and ROOM is used up, whole lines are dropped and their number told.
    """

    def __init__(self, descriptor: int, frame: Frame, longest: int = TEXT_LINE) -> None:
        """Write to this descriptor; `frame` is given whole lines of at most `longest` bytes, each with its newline."""
        super().__init__(descriptor)
        self._frame = frame
        self._longest = longest
        self._partial = b""
        self._dropped = 0

    @property
    def is_patient(self) -> bool:
        """An outlet drops lines rather than hold their source back."""
        return False

    def feed(self, data: bytes) -> None:
        """Take output as it comes; a line is passed on when it is complete, or longer than the longest."""
        for start in range(0, len(data), SLICE):
            self._take(data[start : start + SLICE])

    def line(self, record: bytes) -> None:
        """Pass on one line that is complete as it is."""
        self._queue(record.rstrip(b"\n") + b"\n", 1)
        self.flush()

    def finish(self) -> None:
        """There will be no more: pass on a last line that has no newline."""
        if self._partial:
            self._take(b"\n")

    def flush(self) -> None:
        """Pass on what is taken now."""
        while self._waiting:
            end = self._waiting.rfind(b"\n", 0, ATOMIC) + 1 or ATOMIC
            written = self._stream.write(bytes(self._waiting[:end]))
            if not written:
                return
            del self._waiting[:written]
        self._tell_dropped()

    def _take(self, data: bytes) -> None:
        block, newline, rest = (self._partial + data).rpartition(b"\n")
        if len(rest) > self._longest:
            block, newline, rest = block + newline + rest, b"\n", b""
        self._partial = rest
        if newline:
            lines = b"\n".join(self._cut(block)) + b"\n"
            self._queue(self._frame(lines), lines.count(b"\n"))
            self.flush()

    def _cut(self, block: bytes) -> Iterator[bytes]:
        for line in block.split(b"\n"):
            if len(line) <= self._longest:
                yield line
            else:
                for start in range(0, len(line), self._longest):
                    yield line[start : start + self._longest]

    def _queue(self, records: bytes, count: int) -> None:
        if self._dropped or len(self._waiting) + len(records) > ROOM:
            self._dropped += count
        else:
            self._waiting += records

    def _tell_dropped(self) -> None:
        if self._dropped:
            told = f"[… {self._dropped:,} lines dropped, the reader is slow …]\n".encode()
            self._dropped = 0
            self._waiting += self._frame(told)
            self.flush()


def frame_text(prefix: bytes) -> Frame:
    """Put a prefix before each line."""

    def frame(lines: bytes) -> bytes:
        return prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"

    return frame


def frame_json(job: str, run: str, stream: str = "stdout") -> Frame:
    """Make each line an object of its own; bytes that are no UTF-8 become escapes."""
    import json

    def frame(lines: bytes) -> bytes:
        return b"".join(one(line) for line in lines[:-1].split(b"\n"))

    def one(line: bytes) -> bytes:
        text = line.decode("utf-8", "backslashreplace")
        record = {"event": "output", "job": job, "run": run, "stream": stream, "line": text}
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"

    return frame
