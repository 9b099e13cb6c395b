"""Following the log of a run while it is written: over its pieces, which come and go, and over their joining."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from runjobs.adapters.joblog import PIECE, segment_size, tail_files

if TYPE_CHECKING:
    from collections.abc import Iterator

DROPPED: Final = re.compile("\n?\\[… ([0-9,]+) bytes dropped …\\]\n".encode())
LONGEST_MARKER: Final = 64  # bytes


class Follower:
    """Reads what came since the last look; nothing twice, and what came too fast for it is counted where it was.

    It holds the pieces open, so that none is lost that was there at a look and is deleted before the next.
    """

    def __init__(self, path: str) -> None:
        """Follow a log that may not be there yet."""
        self._path = path
        self._head: int | None = None
        self._offset = 0  # in the head's file
        self._size: int | None = None  # of the head; None: there has been no tail
        self._pieces: dict[int, int] = {}
        self._index = 0  # the piece that is read, and where in it
        self._within = 0
        self._ends_line = True

    def read(self) -> Iterator[bytes]:
        """What came since the last call, in pieces."""
        if self._head is None:
            self._head = _open(self._path)
        if self._head is None:
            return
        self._hold_pieces()
        status = os.fstat(self._head)
        is_open = bool(status.st_mode & stat.S_IWUSR)
        if is_open and self._pieces and self._size is None:
            self._size = status.st_size  # there were pieces before this size was read, and it was not closed after it
        if self._size is None:
            yield from self._read_head(status.st_size if is_open else self._offset)
            return
        yield from self._read_head(self._size)
        yield from self._read_pieces()

    def finish(self) -> Iterator[bytes]:
        """What came since the last call and is all there will be: its run is known to be over."""
        yield from self.read()
        if self._head is None:
            return
        status = os.fstat(self._head)
        if status.st_mode & stat.S_IWUSR:  # its writer was killed, and all pieces have been read where they were
            return
        if self._size is None:
            yield from self._read_head(status.st_size)
            yield from self._read_left_over()
            return
        yield from self._read_joined(self._size, status.st_size)

    def close(self) -> None:
        """Let go of the files."""
        held = [*self._pieces.values(), *([] if self._head is None else [self._head])]
        self._pieces, self._head = {}, None
        for descriptor in held:
            os.close(descriptor)

    @property
    def _descriptor(self) -> int:
        return -1 if self._head is None else self._head

    @property
    def _position(self) -> int:
        """Where the next byte to read is in the stream of all that came after the head."""
        return self._index * segment_size(self._size or 0) + self._within

    def _hold_pieces(self) -> None:
        for index, path in tail_files(self._path):
            if index >= self._index and index not in self._pieces and (piece := _open(path)) is not None:
                self._pieces[index] = piece

    def _read_head(self, end: int) -> Iterator[bytes]:
        while self._offset < end and (data := os.pread(self._descriptor, min(PIECE, end - self._offset), self._offset)):
            self._offset += len(data)
            self._ends_line = data.endswith(b"\n")
            yield data

    def _read_pieces(self) -> Iterator[bytes]:
        """Read the pieces that are held; one that has a successor is complete, and done with."""
        for index in sorted(self._pieces):
            if index >= self._index:
                yield from self._read_piece(index)
            if index != max(self._pieces):
                os.close(self._pieces.pop(index))

    def _read_piece(self, index: int) -> Iterator[bytes]:
        if index != self._index:
            yield from self._missing(index * segment_size(self._size or 0) - self._position)
            self._index, self._within = index, 0
        while data := os.pread(self._pieces[index], PIECE, self._within):
            self._within += len(data)
            self._ends_line = data.endswith(b"\n")
            yield data

    def _missing(self, count: int) -> Iterator[bytes]:
        """The line that stands where output came faster than it was read."""
        if count > 0:
            yield f"{'' if self._ends_line else chr(10)}[… {count:,} bytes came too fast to be shown …]\n".encode()
            self._ends_line = True

    def _read_joined(self, size: int, end: int) -> Iterator[bytes]:
        """Read on in the file that the pieces were joined to; what could not be joined is in pieces still."""
        found = DROPPED.match(os.pread(self._descriptor, LONGEST_MARKER, size))
        dropped = int(found[1].replace(b",", b"")) if found else 0
        start = size + (found.end() if found else 0)
        yield from self._missing(dropped - self._position)
        self._offset = start + max(self._position - dropped, 0)
        if self._offset < end:
            yield from self._read_head(end)
            self._index, self._within = divmod(dropped + end - start, segment_size(size))
        self._hold_pieces()
        yield from self._read_pieces()

    def _read_left_over(self) -> Iterator[bytes]:
        """Read the pieces that could not be joined to the head, which has been read with all that was."""
        for descriptor in self._pieces.values():
            os.close(descriptor)  # held since before the joining: those that it has deleted are read already
        self._pieces = {}
        self._hold_pieces()
        self._index, self._within = min(self._pieces, default=0), 0
        yield from self._read_pieces()


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
