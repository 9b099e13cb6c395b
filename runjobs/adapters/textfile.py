"""A file that others read while it is written anew: a whole one is put in the place of the one before."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

READABLE: Final = 0o644  # node-exporter is another user


def replace(path: str, pieces: Iterable[bytes]) -> None:
    """Write it, whatever the umask; OSError where it can't be. What it says can be had again, so nothing is synced."""
    folder, name = os.path.split(path)
    made = os.path.join(folder, f".{name}.{os.getpid()}.tmp")  # hidden, and not what a reader of *.prom looks for
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        os.unlink(made)  # of a process of our number that was killed
    descriptor = os.open(made, flags, READABLE)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, READABLE)
            file.writelines(pieces)
        os.rename(made, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise


def is_older(path: str, than: Iterable[str]) -> bool:
    """Whether one of these files, which are there and not empty, has changed since it was written, or it is missing."""
    try:
        written = os.stat(path).st_mtime_ns
    except OSError:
        return True
    for each in than:
        with contextlib.suppress(OSError):
            found = os.stat(each)
            if found.st_size and found.st_mtime_ns >= written:  # the clock of files moves in steps
                return True
    return False
