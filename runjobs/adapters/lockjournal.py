"""Journals in lock files: read and written in place, whoever holds the lock; where it has no room, in its time.

Who writes one keeps other writers away: `Alone` is the lock for that.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from runjobs.core.journal import AT, SIZE, Journal, added, newest_of, pack, squeeze, unpack, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from runjobs.core.journal import Entry

READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
WRITING: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
PATIENCE: Final = 30.0  # seconds, as SQLite waits for another's transaction
PAUSE: Final = 0.005  # seconds between two tries


def read(path: Path) -> Journal:
    """The journal in a lock file; an empty one where there is none, or it can't be read."""
    try:
        fd = os.open(path, READING)
    except OSError:
        return Journal()
    try:
        return _read(fd)
    except OSError:  # a FIFO, a folder
        return Journal()
    finally:
        os.close(fd)


def write(path: Path, journal: Journal) -> None:
    """Replace the journal of a lock file; OSError when not even its time can be set."""
    fd = os.open(path, WRITING, 0o600)
    try:
        _write(fd, journal)
    finally:
        os.close(fd)


def add(path: Path, news: Iterable[Entry], watermark_ms: int | None = None, key: str = "") -> None:
    """Add entries to the journal of a lock file, and move its mark on if one is given. OSError as for `write`."""
    fd = os.open(path, WRITING, 0o600)
    try:
        journal = added(_read(fd), news)
        if watermark_ms is not None:
            journal = journal._replace(watermark_ms=watermark_ms, key=key)
        _write(fd, journal)
    finally:
        os.close(fd)


def reserve(path: Path) -> None:
    """Make a lock file that is not there, with room for all that it may have to hold one day."""
    if os.path.exists(path):
        return
    with contextlib.suppress(OSError):
        fd = os.open(path, WRITING, 0o600)
        try:
            os.posix_fallocate(fd, 0, AT + SIZE)
        finally:
            os.close(fd)


def clear(path: Path) -> None:
    """Empty the journal of a lock file, if it has one."""
    with contextlib.suppress(OSError):  # gone, or on a disk that is full again: what it says is known by now
        if not read(path).is_empty:
            write(path, Journal())


class Alone:
    """Keeps other writers of journals away, within `with`, which may be nested.

    Where the lock's file can't be had, nobody is kept away.
    """

    def __init__(self, path: Path) -> None:
        """Nobody is kept away yet."""
        self._path = path
        self._depth = 0
        self._fd: int | None = None

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth > 1:
            return
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, WRITING, 0o600)
            _wait_for(self._fd)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth and self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _wait_for(fd: int) -> None:
    """Wait for the lock; one who holds it that long was stopped, and must not stop everybody else."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return
            time.sleep(PAUSE)
        else:
            return


def _read(fd: int) -> Journal:
    status = os.fstat(fd)
    if status.st_size < AT + SIZE:
        is_set = status.st_mtime_ns != status.st_ctime_ns  # who makes or writes a file changes both at once
        return unsqueeze(status.st_mtime_ns) if is_set else Journal()
    return unpack(os.pread(fd, SIZE, AT))


def _write(fd: int, journal: Journal) -> None:
    try:
        if os.fstat(fd).st_size < AT + SIZE:
            os.posix_fallocate(fd, 0, AT + SIZE)
        os.pwrite(fd, pack(journal), AT)
        os.fdatasync(fd)
    except OSError:
        if (last := newest_of(journal.entries)) is None and not journal.is_empty:
            return  # a mark alone, or a person's run: a time has room for neither
        os.utime(fd, ns=(0, squeeze(last) if last is not None else 0))
