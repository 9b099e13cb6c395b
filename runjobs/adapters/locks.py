"""Lock files: taken without waiting, never unlinked, and telling who holds them.

Each file is one advisory lock (flock(2), which filelock's locks contend with) and one record of fixed size,
preallocated and overwritten in place, so that it can be written on a full disk. Whoever inherits the descriptor
holds the lock: it is free when the last of them has closed it. Nobody probes a lock by taking it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

RECORD_SIZE: Final = 2048  # bytes: the longest name and an end whose detail is all escapes; a block holds it
PID_SIZE: Final = 16  # bytes behind the record
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Lock(NamedTuple):
    """A lock that is held: its descriptor and its file."""

    fd: int
    path: str


class LockError(OSError):
    """A lock file that can't be one: not a regular file, or not to be opened."""


def file_name(name: str) -> str:
    """The file name of a lock or job, another one for each name: `/` becomes `,`, what names don't have is as in a URL.

    No longer than the name, for names that a jobs file can have: NAME_MAX is 255.
    """
    return "".join(c if c in SAFE else "," if c == "/" else _quoted(c) for c in name)


def _quoted(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def take(path: Path) -> Lock | None:
    """Take the lock without waiting; None when somebody holds it. OSError when the file can't be opened."""
    while True:
        fd = _open(path)
        if not _try(fd):
            os.close(fd)
            return None
        if _is_still(path, os.fstat(fd)):
            _preallocate(fd)
            return Lock(fd, str(path))
        os.close(fd)  # somebody put another file in its place: lock that one


def take_slot(path: Path) -> Lock:
    """Take the first free lock of `path`, `path+2`, `path+3` …: for runs that may overlap, one lock each.

    No name has a plus in it: `.2` would be the lock of a job that is called so.
    """
    number = 1
    while True:
        slot = path if number == 1 else path.with_name(f"{path.name}+{number}")
        if (lock := take(slot)) is not None:
            return lock
        number += 1


def write(fd: int, record: dict[str, Any]) -> None:
    """Overwrite the record of a lock that is held. ValueError where it is too long for it; OSError names the file."""
    data = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
    if len(data) > RECORD_SIZE:
        message = f"a lock's record has {RECORD_SIZE} bytes, not {len(data)}"
        raise ValueError(message)
    try:
        os.pwrite(fd, data.ljust(RECORD_SIZE + PID_SIZE), 0)  # the pid of who held it before goes as well
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.readlink(f"/proc/self/fd/{fd}")) from error


def write_pid(fd: int, pid: int) -> None:
    """Say which process holds the lock from here on; it stands behind the record, which its holder may overwrite."""
    os.pwrite(fd, str(pid).encode().ljust(PID_SIZE), RECORD_SIZE)


def read(path: Path) -> dict[str, Any]:
    """The record in a lock file, whoever holds it; empty where there is none or it can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return {}
    try:
        record = parse(os.pread(fd, RECORD_SIZE, 0))
        pid = os.pread(fd, PID_SIZE, RECORD_SIZE).strip(b" \0")
        return record | {"pid": int(pid)} if record and pid.isdigit() else record
    except OSError:  # a FIFO, a folder
        return {}
    finally:
        os.close(fd)


def parse(data: bytes) -> dict[str, Any]:
    """The record in the bytes of a lock file; empty for anything that is none."""
    try:
        record = json.loads(data.rstrip(b" \0\n") or b"{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _open(path: Path) -> int:
    fd = os.open(path, FLAGS, 0o600)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise LockError(f"{path} is not a regular file, so it can't be a lock")


def _try(fd: int) -> bool:
    """The call that filelock.lock_descriptor makes; importing it costs 38 ms, and 0.4 ms more at every fork."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        os.close(fd)
        raise
    return True


def _preallocate(fd: int) -> None:
    if os.fstat(fd).st_size < RECORD_SIZE + PID_SIZE:
        with contextlib.suppress(OSError):  # a full disk costs the record, never the lock
            os.posix_fallocate(fd, 0, RECORD_SIZE + PID_SIZE)


def _is_still(path: Path, status: os.stat_result) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)
