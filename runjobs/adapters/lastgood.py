"""The last good version of each jobs file, in the state folder: what is in force while the file itself is bad."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

FOLDER: Final = "lastgood"
PRIVATE: Final = 0o700
READABLE: Final = 100  # characters of a path that are left as they are in the name of its copy
FORM: Final = b"runjobs-lastgood-1"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)


class Copy(NamedTuple):
    """A version of the jobs file at `path`, and when it was taken."""

    path: str
    since: datetime
    text: str


class LastGood:
    """The copies of one state folder, each in a file of its own: 0600, and replaced as a whole."""

    def __init__(self, state: Path) -> None:
        """Whether the folder is there or not."""
        self._folder = os.path.join(state, FOLDER)

    def is_there(self) -> bool:
        """Whether somebody has ever kept something here."""
        return os.path.isdir(self._folder)

    def prepare(self) -> None:
        """Make the folder where it is missing."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, PRIVATE)

    def find(self, path: str) -> Copy | None:
        """The copy of the file at this path, which is made absolute; None where there is none that can be read."""
        path = os.path.abspath(path)
        copy = self._read(_name(path))
        return copy if copy is not None and copy.path == path else None

    def below(self, folder: str) -> list[Copy]:
        """The copies of the files that stood in this folder, or at this very path, sorted by path."""
        folder = os.path.abspath(folder)
        copies = filter(None, map(self._read, self._names()))
        return sorted(copy for copy in copies if copy.path == folder or os.path.dirname(copy.path) == folder)

    def gone(self, folder: str, present: set[str]) -> list[str]:
        """The paths of the files that stood in this folder and are not among those `present`."""
        names = {_name(os.path.abspath(path)) for path in present}
        folder = os.path.abspath(folder)
        copies = filter(None, (self._read(name) for name in self._names() if name not in names))
        return [copy.path for copy in copies if os.path.dirname(copy.path) == folder]

    def keep(self, path: str, text: str, now: datetime) -> None:
        """Have this text as the last good version of the file at this path. OSError where it can't be written.

        The folder was prepared before.
        """
        path = os.path.abspath(path)
        target = os.path.join(self._folder, _name(path))
        draft = f"{target}.{os.getpid()}"
        try:
            _write(draft, _pack(path, text, now))
            os.replace(draft, target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
            raise

    def forget(self, path: str) -> None:
        """Let go of the version of the file at this path: the file is gone, and so are its jobs."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, _name(os.path.abspath(path))))

    def _names(self) -> list[str]:
        try:
            return [name for name in os.listdir(self._folder) if not name.rpartition(".")[2].isdecimal()]
        except OSError:
            return []

    def _read(self, name: str) -> Copy | None:
        try:
            with open(os.path.join(self._folder, name), "rb") as file:
                return _unpack(file.read())
        except (OSError, ValueError):  # not there, not ours to read, or of another form: as if there were none
            return None


def _name(path: str) -> str:
    """The name of the copy of a file: what a person recognises, and a number that tells it from its like."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", ",", path).strip(",")[-READABLE:]
    return f"{plain},{zlib.crc32(os.fsencode(path)):08x}"


def _pack(path: str, text: str, now: datetime) -> bytes:
    place = os.fsencode(path)
    head = b"%s %d %d\n" % (FORM, (now - EPOCH) // MILLISECOND, len(place))
    return head + place + b"\n" + text.encode("utf-8", "surrogateescape")


def _unpack(data: bytes) -> Copy:
    """Read what `_pack` has written; ValueError where it is something else."""
    head, _, rest = data.partition(b"\n")
    form, since, length = head.split(b" ")
    if form != FORM:
        raise ValueError(form)
    end = int(length)
    text = rest[end + 1 :].decode("utf-8", "surrogateescape")
    return Copy(os.fsdecode(rest[:end]), EPOCH + int(since) * MILLISECOND, text)


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb", buffering=0) as file:
        os.fchmod(descriptor, 0o600)
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]
        os.fsync(descriptor)  # a copy that is named and empty after a power cut would be good, and without jobs
