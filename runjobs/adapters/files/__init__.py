"""Jobs files on disk: which ones count, whether they can be trusted, and their text."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters.files.walk import RefusedError, Rules, read_up_to, told
from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.names import skip_reason
from runjobs.core.trust import Judge, Refusal, group_warning, quoted

if TYPE_CHECKING:
    from runjobs.adapters.files.walk import Position

LARGEST = 64 * 2**20  # bytes: a jobs file of a million lines, and a bound for what a slip can make us read


class Stamp(NamedTuple):
    """What tells one version of a file from another without reading it; a chmod moves only `ctime_ns`."""

    path: str
    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int


class JobsText(NamedTuple):
    """One jobs file as read: bytes that are not UTF-8 stand as surrogate escapes."""

    path: str
    text: str
    stamp: Stamp


class Skipped(NamedTuple):
    """A name in a jobs folder that is no jobs file, and why."""

    path: str
    reason: str


class Folder(NamedTuple):
    """A jobs path as found: its files sorted by name, what was passed over, and what is wrong with it."""

    path: str
    files: tuple[JobsText, ...]
    skipped: tuple[Skipped, ...]
    problems: tuple[Problem, ...]


def _problem(path: str, refusal: Refusal, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(Place(path, 1), refusal.message, refusal.hint, severity=severity)


def read_folder(path: str, *, trust: bool, uid: int) -> Folder:
    """Read a jobs folder, or a single jobs file; never raises for what is found on disk.

    `uid` is who runs the jobs. Unless `trust` is set, files that others could have written are refused: as root
    every file and every folder above it must be root's and not writable by others, otherwise files must be ours
    or root's and no one else may be able to write them. A single file that was named counts whatever its name.
    """
    reading = _Reading(Rules(Judge(uid), trust=trust))
    try:
        with reading.rules.open_path(path) as opened:
            reading.take(path, opened)
    except RefusedError as error:
        reading.problems.append(_problem(path, error.refusal))
    except OSError as error:
        reading.problems.append(_unreadable(path, error))
    return Folder(path, tuple(reading.files), tuple(reading.skipped), tuple(reading.problems))


def fingerprint(path: str) -> tuple[Stamp, ...]:
    """Stamp what `read_folder` would read, and the folder itself, by stat alone; another tuple: read again."""
    try:
        names = sorted(name for name in os.listdir(path) if not skip_reason(name))
    except OSError:
        names = []
    stamps = []
    for each in (path, *(os.path.join(path, name) for name in names)):
        try:
            stamps.append(_stamp(each, os.stat(each)))
        except OSError as error:
            stamps.append(Stamp(each, 0, 0, -1, error.errno or 0))  # gone or closed to us: a version of its own
    return tuple(stamps)


def _stamp(path: str, facts: os.stat_result) -> Stamp:
    return Stamp(path, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)


class _Reading:
    """What one call of `read_folder` has found so far."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.files: list[JobsText] = []
        self.skipped: list[Skipped] = []
        self.problems: list[Problem] = []

    def take(self, path: str, opened: Position) -> None:
        """Read what the path led to: each file of a folder, or the one file."""
        if not opened.is_folder:
            self._read(path, opened)
            return
        with opened.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as listing:
            names = sorted(os.listdir(listing.descriptor))
        for name in names:
            self._entry(os.path.join(path, name), name, opened)

    def _entry(self, path: str, name: str, folder: Position) -> None:
        reason = skip_reason(name)
        if reason:
            self.skipped.append(Skipped(path, reason))
            return
        try:
            with self.rules.open(name, folder) as opened:
                if opened.is_folder:
                    self.skipped.append(Skipped(path, "a folder"))
                else:
                    self._read(path, opened)
        except RefusedError as error:
            self.problems.append(_problem(path, error.refusal))
        except OSError as error:
            self.problems.append(_unreadable(path, error))

    def _read(self, path: str, opened: Position) -> None:
        self.files.append(_read(path, opened))
        warning = None if self.rules.trust else told(opened.seen(), group_warning)
        if warning is not None:
            self.problems.append(_problem(path, warning, Severity.WARNING))


def _read(path: str, opened: Position) -> JobsText:
    data = read_up_to(LARGEST, opened)
    if data is None:
        message = f"the file is larger than {LARGEST // 2**20} MiB"
        raise RefusedError(Refusal(message, "is this a jobs file? Split it, or move it out of the jobs folder"))
    return JobsText(path, data.decode("utf-8", "surrogateescape"), _stamp(path, opened.facts))


def _unreadable(path: str, error: OSError) -> Problem:
    hints = {
        errno.EACCES: f"namei -l {quoted(path)} shows who may read it",
        errno.ENOENT: "create it, or name another with --jobs",
    }
    what = os.strerror(error.errno) if error.errno else str(error)
    hint = hints.get(error.errno or 0, "mend the path, or move it away")
    return Problem(Place(path, 1), f"the path can't be read: {what}", hint)
