"""The runner's own log: turned over by size and on demand, with a time in the name, compressed, bounded in total.

Each line is one write to a file that was opened to append, so that a log which somebody else copies and truncates goes
on at its beginning. Nothing here waits: compressing is done by a child, and a line that can't be written is counted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
RETRY: Final = 60.0  # seconds after a rotation that failed, until the next is tried
NICE: Final = 19  # the least: compressing takes a second of CPU for 100 MB
UNPACKED: Final = 4  # logs that may wait to be compressed before the bound on their bytes has some deleted as they are
LEAST: Final = 65_536  # bytes: where a number of older logs is kept, a smaller one is not worth one of them
PIECE: Final = 262_144
LOCK: Final = ".packing"  # held by the one process that packs; one that is killed leaves it, and the next takes it
PART: Final = ".part"  # what is being compressed; a child that is killed leaves one, and the next removes it
STAMP: Final = re.compile(r"\.[0-9]{8}T[0-9]{6}\.[0-9]{3}Z(\.gz)?")


class Bounds(NamedTuple):
    """How large the log grows, in bytes, before it is turned over; how many older ones are kept, and how many bytes.

    What is None is no bound; it is never 0.
    """

    size: int
    files: int | None = None
    total: int | None = None


class RunnerLog:
    """A log with one writer."""

    def __init__(self, path: Path, bounds: Bounds, fork: Callable[[], int]) -> None:
        """Open it, and go on where it ends; OSError where it can't be written.

        `fork` is fork(2), made so that the child gets no signals.
        """
        self.lost = 0  # lines that could not be written
        self.trouble = ""  # what went wrong besides and was not told yet
        self._path = path
        self._bounds = bounds
        self._fork = fork
        self._fd = _open(path)
        self._why = ""
        self._retry_at = 0.0
        if self._has_list() and _plain(path):
            self._sweep()

    def line(self, record: bytes, *, counts: bool = True) -> bool:
        """Write one line; whether it is in the log. One that is not is counted in `lost`, if it counts."""
        data = record.rstrip(b"\n") + b"\n"
        if (error := self._write(data)) is not None:
            self.lost += counts
            self._why = error.strerror or str(error)
        return error is None

    def excuse(self) -> str:
        """What to say of the lines that were lost; "" where none were."""
        lines = "1 line of this log" if self.lost == 1 else f"{self.lost:,} lines of this log"
        return f"{lines} could not be written: {self._why}" if self.lost else ""

    def forgive(self) -> None:
        """The loss stands in the log: from here on lines are counted anew."""
        self.lost = 0

    def turn_over(self) -> None:
        """Begin a new file, or go on with the one that somebody else has put in the place of ours (logrotate).

        An empty log is left as it is, and a small one where the older ones are bounded by number: who asks often how it
        stands (USR1) would have them all replaced by logs of one line.
        """
        self._begin_anew(min(LEAST, self._bounds.size // 2) if self._bounds.files else 1)

    def close(self) -> None:
        """Write no more."""
        os.close(self._fd)

    def _write(self, data: bytes) -> OSError | None:
        """Write it whole or not at all: the beginning of a line would spoil the one that comes after it."""
        size = os.fstat(self._fd).st_size
        if size and size + len(data) > self._bounds.size and time.monotonic() >= self._retry_at:
            self._begin_anew(1)
            size = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, data)
        except OSError as error:  # ENOSPC, EDQUOT, EIO: whatever it is, jobs go on
            return error
        if written == len(data):
            return None
        if os.fstat(self._fd).st_size == size + written:
            os.ftruncate(self._fd, size)
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _begin_anew(self, least: int) -> None:
        """In the file that is at our path now, if that is another one; else in a new one, if ours has so many bytes."""
        self._retry_at = 0.0
        if not _is_at(self._fd, self._path):
            self._reopen()
        elif os.fstat(self._fd).st_size >= least:
            self._rotate()

    def _has_list(self) -> bool:
        """Whether the older logs can be found at all; where not, that is trouble."""
        try:
            os.close(os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            why = f"the folder {self._path.parent} can't be listed: {error.strerror}"
            self.trouble = f"older logs are not deleted: {why}; allow that to the runner's user (chmod u+r)"
            return False
        return True

    def _reopen(self) -> None:
        try:
            fd = _open(self._path)
        except OSError as error:
            self._complain("opened anew", error)
            return
        os.close(self._fd)
        self._fd = fd

    def _rotate(self) -> None:
        older = _free_name(self._path, datetime.now(UTC))
        try:
            self._path.rename(older)
        except OSError as error:
            self._complain("turned over", error)
            return
        before = self._fd
        self._reopen()
        if self._fd == before:
            older.rename(self._path)  # nothing was opened in its place, so that is free
        elif self._has_list():
            self._sweep()

    def _complain(self, what: str, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY
        self.trouble = f"the log {self._path} can't be {what}: {error.strerror}; it goes on in the file that it had"

    def _sweep(self) -> None:
        """Have a child compress what is turned over, and delete what is too much of it."""
        try:
            pid = self._fork()
        except OSError as error:
            self.trouble = f"older logs can't be compressed yet: {error.strerror}"
            return
        if pid == 0:
            try:
                os.setsid()
                os.closerange(0, os.sysconf("SC_OPEN_MAX"))  # above all the runner's locks
                os.nice(NICE)
                sweep(self._path, self._bounds)
            finally:
                os._exit(0)


def sweep(path: Path, bounds: Bounds) -> None:
    """Compress the older logs, and delete the oldest beyond the bounds; roughly before that too, lest it never ends.

    One process does so at a time for each log. Who comes meanwhile leaves it to that one, which looks again when it is
    done. Where there is no room for its lock, there is none for a compressed log either: only what is too much goes.
    """
    lock = path.with_name(path.name + LOCK)
    has_work = True
    while has_work:
        try:
            held = _take(lock)
        except BlockingIOError:
            return
        except OSError:
            _prune(path, bounds)
            return
        try:
            _remove_parts(path)
            _prune(path, bounds._replace(total=bounds.total and bounds.total + UNPACKED * bounds.size))
            packed = [_compress(older) for older in _plain(path)]
            has_failed = not all(packed)
            if has_failed or not _plain(path):  # those that came meanwhile will be smaller
                _prune(path, bounds)
        finally:
            lock.unlink(missing_ok=True)
            os.close(held)
        has_work = not has_failed and bool(_plain(path))


def _take(lock: Path) -> int:
    """Hold this file, which its holder removes. BlockingIOError: another one does; OSError: it can't be made."""
    while True:
        fd = os.open(lock, FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        if _is_at(fd, lock):
            return fd
        os.close(fd)  # who held it has just removed it


def _remove_parts(path: Path) -> None:
    for part in path.parent.glob(f"{_escaped(path.name)}.*{PART}"):
        if STAMP.fullmatch(part.name[len(path.name) : -len(PART)]):
            part.unlink(missing_ok=True)


def _prune(path: Path, bounds: Bounds) -> None:
    size = 0
    for place, older in enumerate(reversed(_older(path))):
        size += older.stat(follow_symlinks=False).st_size
        if place >= (bounds.files or place + 1) or size > (bounds.total or size):
            older.unlink(missing_ok=True)


def _compress(older: Path) -> bool:
    """Make a compressed file of one; only when that is on the disk does the original go. Whether it has gone."""
    import gzip
    import shutil

    part = older.with_name(f"{older.name}.gz{PART}")
    try:
        source = os.open(older, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        target = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(source, "rb") as plain, open(target, "wb") as raw:
            with gzip.open(raw, "wb", compresslevel=6) as packed:
                shutil.copyfileobj(plain, packed, PIECE)
            raw.flush()
            os.fsync(raw.fileno())
            os.utime(raw.fileno(), ns=(os.fstat(source).st_atime_ns, os.fstat(source).st_mtime_ns))
        part.rename(part.with_suffix(""))
        older.unlink(missing_ok=True)
    except OSError:  # a full disk: it stays as it is, and the bounds hold all the same
        part.unlink(missing_ok=True)
        return False
    return True


def _older(path: Path) -> list[Path]:
    """The logs that were turned over, the oldest first; files of others that begin alike are none of them."""
    found = path.parent.glob(f"{_escaped(path.name)}.*")
    return sorted(each for each in found if STAMP.fullmatch(each.name[len(path.name) :]))


def _plain(path: Path) -> list[Path]:
    return [older for older in _older(path) if older.suffix != ".gz"]


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _free_name(path: Path, now: datetime) -> Path:
    """A name with this time in it, or with the next that is free."""
    names = (_stamped(path, now + timedelta(milliseconds=count)) for count in range(100_000))
    return next(each for each in names if not os.path.lexists(each) and not os.path.lexists(f"{each}.gz"))


def _stamped(path: Path, now: datetime) -> Path:
    return path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z")


def _open(path: Path) -> int:
    try:
        fd = os.open(path, FLAGS, 0o600)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a FIFO that nobody reads, a socket
            raise _not_regular(path) from error
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise _not_regular(path)


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is not a regular file", str(path))


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except OSError:
        return False
