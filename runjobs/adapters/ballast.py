"""The ballast: room on the disk that is held back for the ledger, and given up first when the disk is full.

While it is there, the ledger has been told everything. That it is gone is the sign that something may stand in the
lock files that the ledger does not know; whoever has brought that in makes it anew.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "ballast"  # in the state folder
SIZE: Final = 4 * 1024 * 1024  # bytes: SQLite's log grows to 1,000 pages of 4 KiB before it is folded in and used again
ROOM: Final = 8 * SIZE  # bytes that are free besides when it is made: a disk at its edge would have it made in vain
FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def is_there(path: Path) -> bool:
    """Whether nothing has been kept from the ledger."""
    return os.path.exists(path)


def give_up(path: Path) -> bool:
    """Give its room to whoever needs it; False when that has been done before."""
    try:
        os.unlink(path)
    except OSError:  # a folder that has become read-only keeps it, which is no harm
        return False
    return True


def make(path: Path) -> bool:
    """Hold room back again, if there is plenty; whether it is there now."""
    if free(path.parent) < ROOM:
        return False
    try:
        fd = os.open(path, FLAGS, 0o600)
    except OSError:
        return is_there(path)
    try:
        os.posix_fallocate(fd, 0, SIZE)
    except OSError:
        give_up(path)
        return False
    finally:
        os.close(fd)
    return True


def free(folder: Path) -> int:
    """Bytes that we may still write there; 0 where nobody can tell."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize
