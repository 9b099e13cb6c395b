"""Lock files: taken without waiting, never unlinked, and telling who holds them.

Each file is one advisory lock (flock(2), which filelock's locks contend with) and one record of fixed size,
preallocated and overwritten in place, so that it can be written on a full disk. Behind the record stand the pid of who
holds the lock, an order to whoever that is, and a journal of runs that the ledger could not take. Whoever inherits the
descriptor holds the lock: it is free when the last of them has closed it. Nobody probes a lock by taking it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

RECORD_SIZE: Final = 2048  # bytes: the longest name and an end whose detail is all escapes; a block holds it
PID_SIZE: Final = 16  # bytes behind the record
ORDER_AT: Final = RECORD_SIZE + PID_SIZE
ORDER_SIZE: Final = 512  # bytes
JOURNAL_AT: Final = ORDER_AT + ORDER_SIZE
FILE_SIZE: Final = 4096  # a block of most file systems; the journal has what is left of it
FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Lock(NamedTuple):
    """A lock that is held: its descriptor and its file."""

    fd: int
    path: str


class Seen(NamedTuple):
    """A lock file as it was found: its record, whether the lock is held, and the recorded pid if that one holds it."""

    path: Path
    record: dict[str, Any]
    is_held: bool
    pid: int | None


class LockError(OSError):
    """A lock file that can't be one: not a regular file, or not to be opened."""


def file_name(name: str) -> str:
    """The file name of a lock or job, another one for each name: `/` becomes `,`, what names don't have is as in a URL.

    No longer than the name, for names that a jobs file can have: NAME_MAX is 255.
    """
    made = "".join(c if c in SAFE else "," if c == "/" else _quoted(c) for c in name)
    return made if made.strip(".") else made.replace(".", "%2E")  # no job is called so; `..` would be a way out


def name_of(file_name: str) -> str:
    """The name that a file name stands for; the number of a place is no part of it."""
    from urllib.parse import unquote

    return unquote(file_name.replace(",", "/"))


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
    while (lock := take(_slot(path, number))) is None:
        number += 1
    return lock


def take_place(path: Path, size: int) -> Lock | None:
    """Take the first free lock of `path`, `path+2` … up to `path+SIZE`: a place in a pool; None when all are held."""
    places = (take(_slot(path, number)) for number in range(1, size + 1))
    return next((lock for lock in places if lock is not None), None)


def _slot(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.name}+{number}")


def write(fd: int, record: dict[str, Any]) -> None:
    """Overwrite the record of a lock that is held. ValueError where it is too long for it; OSError names the file."""
    data = _encoded(record)
    if len(data) > RECORD_SIZE:
        message = f"a lock's record has {RECORD_SIZE} bytes, not {len(data)}"
        raise ValueError(message)
    try:
        _see_room(fd)
        os.pwrite(fd, data.ljust(RECORD_SIZE + PID_SIZE), 0)  # the pid of who held it before goes as well
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.readlink(f"/proc/self/fd/{fd}")) from error


def write_pid(fd: int, pid: int) -> None:
    """Say which process holds the lock from here on; it stands behind the record, which its holder may overwrite."""
    _see_room(fd)
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


def is_held(path: Path) -> bool:
    """Whether anybody that can be seen from here holds the lock; it is not taken to find out."""
    from runjobs.adapters.locks.holders import locked_inodes

    return _look(path, locked_inodes(path.parent, {path.name})).is_held


def survey(folder: Path, slots_of: str | None = None) -> list[Seen]:
    """Every lock file of a folder, by name, or those that are slots of one name; OSError: it can't be listed.

    What is no regular file is passed over.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return []
    from runjobs.adapters.locks.holders import locked_inodes

    names = [name for name in names if slots_of is None or name.partition("+")[0] == slots_of]
    locked = locked_inodes(folder, names)
    return [_look(folder / name, locked) for name in names]


def _look(path: Path, locked: Container[int]) -> Seen:
    from runjobs.adapters.locks.holders import holds

    record = read(path)
    try:
        inode = os.stat(path, follow_symlinks=False).st_ino
    except OSError:
        return Seen(path, record, is_held=False, pid=None)
    pid = record.get("pid")
    proven = pid if isinstance(pid, int) and holds(pid, path) else None
    return Seen(path, record, proven is not None or inode in locked, proven)


def parse(data: bytes) -> dict[str, Any]:
    """The record in the bytes of a lock file; empty for anything that is none."""
    try:
        record = json.loads(data.rstrip(b" \0\n") or b"{}")
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def write_order(path: Path, order: dict[str, Any]) -> None:
    """Leave an order for who holds the lock; a `detail` that is too long is cut. OSError where it can't be written.

    The file is not made longer: where the disk was full when it was made there is no room, and its time stays as it is.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size < JOURNAL_AT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.pwrite(fd, _fitting(order).ljust(ORDER_SIZE), ORDER_AT)
    finally:
        os.close(fd)


def read_order(fd: int) -> dict[str, Any]:
    """The order in a lock that is held, whomever it is meant for; empty where there is none."""
    try:
        return parse(os.pread(fd, ORDER_SIZE, ORDER_AT))
    except OSError:
        return {}


def _encoded(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")


def _fitting(order: dict[str, Any]) -> bytes:
    """An order as bytes, its detail cut by whole characters until it fits: what a character takes depends on it."""
    detail = str(order.get("detail", ""))[:ORDER_SIZE]
    data = _encoded(order | {"detail": detail})
    while len(data) > ORDER_SIZE and detail:
        detail = detail[:-1]
        data = _encoded(order | {"detail": f"{detail}..."})
    return data


def _open(path: Path) -> int:
    try:
        fd = os.open(path, FLAGS, 0o600)
    except OSError as error:
        if error.errno in {errno.EISDIR, errno.ELOOP, errno.ENXIO}:  # a folder, a symlink, a socket
            raise _no_lock(path, os.stat(path, follow_symlinks=False)) from error
        raise
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return fd
    os.close(fd)
    raise _no_lock(path, status)


def _no_lock(path: Path, status: os.stat_result) -> LockError:
    from runjobs.core.trust import kind_name, quoted

    what = f"{kind_name(status.st_mode)}, not a regular file, so it can't be a lock"
    look = f"owner uid {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o}"
    return LockError(f"{path} is {what} ({look}); try: rm {quoted(str(path))}")


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
    if os.fstat(fd).st_size < FILE_SIZE:
        with contextlib.suppress(OSError):  # a full disk costs the record, never the lock
            os.posix_fallocate(fd, 0, FILE_SIZE)


def _is_still(path: Path, status: os.stat_result) -> bool:
    try:
        now = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)


def _see_room(fd: int) -> None:
    """Refuse to write where the file was made on a full disk: a write that fails changes its time, which says a lot."""
    if os.fstat(fd).st_size < FILE_SIZE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
