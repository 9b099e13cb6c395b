"""A PID file that is a lock: whoever holds it is there, and what a dead process left in one troubles nobody."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LONGEST: Final = 32  # bytes: a pid has seven digits at the most, proc_sys_kernel(5)
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class PidFile:
    """A PID file that is held, until `close` or the end of the process, however that comes."""

    def __init__(self, fd: int, path: Path) -> None:
        """Keep what `take` has locked."""
        self.path = path
        self._fd = fd

    def close(self) -> None:
        """Remove the file, if its name is still ours, and let go of it."""
        if is_at(self._fd, self.path):
            with contextlib.suppress(OSError):  # a folder that became read-only: the file is stale, which is no trouble
                os.unlink(self.path)
        os.close(self._fd)


def take(path: Path) -> PidFile | None:
    """Lock the file and write our pid into it; None when somebody holds it. OSError where there can be no such file.

    It is written in place, and a pid that can't be written, on a full disk, is no reason to give up: the lock counts.
    """
    while True:
        fd = os.open(path, FLAGS, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileExistsError(17, "it is not a regular file", str(path))
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        if is_at(fd, path):
            break
        os.close(fd)  # who held it has just removed it: take the one that is there now
    data = b"%d\n" % os.getpid()
    with contextlib.suppress(OSError):
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
    return PidFile(fd, path)


def read(path: Path) -> int | None:
    """The pid in the file, whoever that is today; None where there is none. OSError when it is there and can't be read.

    A file that is none of ours is read as far as a pid goes: a FIFO and a folder hold none.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        text = os.read(fd, LONGEST).strip() if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    return int(text) if text.isdigit() else None


def real(path: Path) -> Path:
    """The same file by its one name; a symbolic link is a file of its own, which `take` refuses."""
    return type(path)(os.path.realpath(path.parent), path.name)


def is_at(fd: int, path: Path) -> bool:
    """Whether the path still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except OSError:
        return False
