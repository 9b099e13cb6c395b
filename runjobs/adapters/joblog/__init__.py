"""The log of one run: all of its output up to a limit, and of more than that the head and the tail.

While a run goes on, its log is one file with the head and, past half of the limit, numbered pieces beside it
(`LOG.tail-N`) of which the oldest goes when a new one begins. At the end they become one file. So the disk never
holds much more than the limit, memory holds nothing, and what was written before a crash can be read after it. A log
that is read-only grows no more by output: it was closed, and its pieces are being joined, or have been.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SEGMENTS = 8  # pieces of the tail: what is kept of it is between 7/8 of its half and all of it
PIECE = 262_144  # bytes read at a time
FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # nobody's link leads our output elsewhere
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
TAIL = ".tail-"
ENDING = ".log"
CHANGED = ".changed"  # what a run was told of, beside its log


class JobLog:
    """Takes the output of one run. It never raises: a disk that is full costs the log, not the run.

    Nothing is created before there is output, so a run that says nothing has no log. `total` counts what came,
    `trouble` says why the log stopped ("" while it has not).
    """

    def __init__(self, path: str | None, limit: int) -> None:
        """Keep up to `limit` bytes at `path`; None keeps nothing."""
        self.total = 0
        self.trouble = ""
        self._path = path
        self._head: _Part | None = None
        self._head_limit = limit // 2
        self._segment_size = segment_size(self._head_limit)
        self._segments: deque[tuple[int, _Part]] = deque()
        self._tail_end = 0  # where the next byte goes in the stream of all that comes after the head
        self._is_on = path is not None and limit > 0
        self._dropped: int | None = None  # once it is final

    @property
    def dropped(self) -> int:
        """How many bytes came and are not kept, where they should have been."""
        if self._dropped is not None or self._path is None:
            return self._dropped or 0
        head = self._head.size if self._head else 0
        return self.total - head - sum(part.size for _, part in self._segments)

    def write(self, data: bytes) -> None:
        """Keep what belongs to the head or the tail, and count the rest."""
        self.total += len(data)
        if self._is_on and data:
            try:
                self._keep(memoryview(data))
            except OSError as error:
                self._is_on = False
                self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """Put head and tail together into one file."""
        self._dropped = self.dropped
        self._is_on = False
        if self._head is None:
            return
        try:
            os.fchmod(self._head.descriptor, 0o400)  # before the first piece is joined: who follows goes by that
            if self._segments:
                self._join(self._head)
        except OSError as error:
            self.trouble = error.strerror or str(error)  # the pieces stay, and `read_log` reads them
        for part in (self._head, *(part for _, part in self._segments)):
            part.close()

    def _keep(self, data: memoryview) -> None:
        if self._head is None:
            self._head = _Part(_prepared(str(self._path)))
        room = self._head_limit - self._head.size
        if room > 0:
            self._head.put(data[:room])
            data = data[room:]
        if not data:
            return
        data = self._skip(data)
        while data:
            index, used = divmod(self._tail_end, self._segment_size)
            piece = data[: self._segment_size - used]
            self._segment(index).put(piece)
            self._tail_end += len(piece)
            data = data[len(piece) :]

    def _skip(self, data: memoryview) -> memoryview:
        """Leave out what would be dropped again at once, up to the border of a segment."""
        size = self._segment_size
        first = (self._tail_end + len(data) - 1) // size - SEGMENTS + 1
        ahead = first * size - self._tail_end
        if ahead <= 0:
            return data
        self._tail_end += ahead
        return data[ahead:]

    def _segment(self, index: int) -> _Part:
        if self._segments and self._segments[-1][0] == index:
            return self._segments[-1][1]
        if self._segments:
            self._segments[-1][1].close()
        while self._segments and self._segments[0][0] <= index - SEGMENTS:
            os.unlink(self._segments.popleft()[1].path)
        part = _Part(f"{self._path}{TAIL}{index}")
        self._segments.append((index, part))
        return part

    def _join(self, head: _Part) -> None:
        if self._dropped:
            head.put(marker(self._dropped, is_fresh_line=head.ends_line))
        while self._segments:
            _, part = self._segments[0]
            before = os.fstat(head.descriptor).st_size
            try:
                for piece in _pieces(part.path):
                    head.put(piece)
            except OSError:
                os.ftruncate(head.descriptor, before)  # it is whole in its own file still
                raise
            part.close()
            self._segments.popleft()
            os.unlink(part.path)


class _Part:
    """One file of a log, open for appending."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self.ends_line = True
        folder = os.open(os.path.dirname(path) or ".", FOLDER)
        try:
            self.descriptor = os.open(os.path.basename(path), FLAGS, 0o600, dir_fd=folder)
        finally:
            os.close(folder)

    def put(self, data: bytes | memoryview) -> None:
        while data:
            written = os.write(self.descriptor, data)
            self.size += written
            self.ends_line = data[written - 1] == ord("\n")
            data = data[written:]

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def segment_size(head: int) -> int:
    """How large the pieces of a tail are beside a full head of so many bytes: who reads them goes by that."""
    return max(1, -(-head // SEGMENTS))


def marker(dropped: int | None, *, is_fresh_line: bool) -> bytes:
    """The line that stands where output was dropped; None: nobody knows how much."""
    count = "output" if dropped is None else f"{dropped:,} bytes"
    return f"{'' if is_fresh_line else chr(10)}[… {count} dropped …]\n".encode()


def read_log(path: str) -> Iterator[bytes]:
    """All that is kept of a run's output, in order, in pieces; nothing where there is no log.

    It reads a log that is still being written, and one whose writer was killed, as well as a finished one.
    """
    for part in _parts(path):
        if isinstance(part, bytes):
            yield part
        else:
            yield from _pieces(part)


def tail(path: str, lines: int, limit: int = 65_536) -> bytes:
    """The last lines of a run's output, but not more than `limit` bytes; empty where there is no log."""
    kept = b""
    for part in reversed(_parts(path)):
        kept = (part if isinstance(part, bytes) else _last_bytes(part, limit - len(kept))) + kept
        if len(kept) >= limit or kept.count(b"\n") > lines:
            break
    end = len(kept) - kept.endswith(b"\n")
    start = end
    for _ in range(lines):
        start = kept.rfind(b"\n", 0, start)
        if start < 0:
            break
    return kept[start + 1 :][-limit:] if lines else b""


def remove_log(path: str) -> None:
    """Delete a run's log and whatever pieces a crash left beside it; nothing happens where there is none."""
    changed = path.removesuffix(ENDING) + CHANGED
    for part in (path, changed, *(piece for _, piece in tail_files(path))):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def prune(folder: str, keep: int, spare: Collection[str], older_than: str | None = None) -> None:
    """Delete all but the newest `keep` logs of a folder, and those of runs before the id `older_than`.

    Names sort by time, as ids do. The logs of runs in `spare`, which go on or may be asked for, stay.
    """
    try:
        names = [name for name in os.listdir(folder) if name.endswith((ENDING, CHANGED))]
    except FileNotFoundError:
        return
    runs = sorted({name.removesuffix(ENDING).removesuffix(CHANGED) for name in names})
    surplus = len(runs) - keep
    for number, run in enumerate(runs):
        if (number < surplus or (older_than is not None and run < older_than)) and run not in spare:
            remove_log(os.path.join(folder, run + ENDING))


def _parts(path: str) -> list[str | bytes]:
    """The files that make up a log, in order, and between head and tail the line that tells of a gap."""
    if not os.path.exists(path):
        return []
    files = tail_files(path)
    parts: list[str | bytes] = [path]
    if files and files[0][0] > 0:
        whole = os.path.getsize(files[0][1]) if len(files) > 1 else None  # only the last one may be shorter
        dropped = None if whole is None else files[0][0] * whole
        parts.append(marker(dropped, is_fresh_line=_last_bytes(path, 1) in {b"", b"\n"}))
    return parts + [file for _, file in files]


def tail_files(path: str) -> list[tuple[int, str]]:
    """The numbers and paths of the pieces beside a log, in order."""
    folder, name = os.path.split(path)
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(folder or "."):
            stem, mark, number = entry.rpartition(TAIL)
            if mark and stem == name and number.isdecimal():
                found.append((int(number), os.path.join(folder, entry)))
    return sorted(found)


def _pieces(path: str) -> Iterator[bytes]:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below; the missing file is met here alone)
    except FileNotFoundError:
        return  # its writer has joined or dropped it meanwhile
    with file:
        while piece := file.read(PIECE):
            yield piece


def _last_bytes(path: str, count: int) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - count))
            return file.read(count) or b""
    except FileNotFoundError:
        return b""


def _prepared(path: str) -> str:
    """The path, with the folders above it made where they are missing, closed to others."""
    missing = []
    folder = os.path.dirname(path)
    while folder and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another run of the job made it meanwhile
            os.mkdir(folder, 0o700)
    return path
