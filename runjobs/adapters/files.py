"""Jobs files on disk: which ones count, whether they can be trusted, and their text."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple, Self

from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.names import skip_reason
from runjobs.core.trust import Facts, Refusal, group_warning, judge_file, judge_folder, judge_link

LARGEST = 64 * 2**20  # bytes: a jobs file of a million lines, and a bound for what a slip can make us read
MOST_LINKS = 40  # symlinks followed for one path, as the kernel does, path_resolution(7)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


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


class _Refused(Exception):  # noqa: N818  a judgement, not an error
    """This path can't be used: the message and the way out."""

    def __init__(self, path: str, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.problem = _problem(path, refusal)


def _problem(path: str, refusal: Refusal, severity: Severity = Severity.ERROR) -> Problem:
    return Problem(Place(path, 1), refusal.message, refusal.hint, severity=severity)


def read_folder(path: str, *, trust: bool, uid: int) -> Folder:
    """Read a jobs folder, or a single jobs file; never raises for what is found on disk.

    `uid` is who runs the jobs. Unless `trust` is set, files that others could have written are refused: as root
    every file and every folder above it must be root's and not writable by others, otherwise files must be ours
    or root's and no one else may be able to write them. A single file that was named counts whatever its name.
    """
    reading = _Reading(Rules(uid, trust=trust))
    try:
        with _Position.at_root() as root:
            opened = reading.rules.open(path, os.path.join(os.getcwd(), path), root)
        with opened:
            reading.take(path, opened)
    except _Refused as error:
        reading.problems.append(error.problem)
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


class _Position:
    """An open descriptor with the real path it stands for; closes itself."""

    __slots__ = ("descriptor", "facts", "place")

    def __init__(self, descriptor: int, place: str) -> None:
        self.descriptor = descriptor
        self.place = place
        self.facts = os.fstat(descriptor)

    @classmethod
    def at_root(cls) -> _Position:
        return cls(os.open("/", _FOLDER), "/")

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.facts.st_mode)

    def open(self, name: str, flags: int) -> _Position:
        place = os.path.normpath(os.path.join(self.place, name))
        return _Position(os.open(name, flags, dir_fd=self.descriptor), place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.descriptor)


class _Reading:
    """What one call of `read_folder` has found so far."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.files: list[JobsText] = []
        self.skipped: list[Skipped] = []
        self.problems: list[Problem] = []

    def take(self, path: str, opened: _Position) -> None:
        """Read what the path led to: each file of a folder, or the one file."""
        if not opened.is_folder:
            self._read(path, opened)
            return
        with opened.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as listing:
            names = sorted(os.listdir(listing.descriptor))
        for name in names:
            self._entry(os.path.join(path, name), name, opened)

    def _entry(self, path: str, name: str, folder: _Position) -> None:
        reason = skip_reason(name)
        if reason:
            self.skipped.append(Skipped(path, reason))
            return
        try:
            with self.rules.open(path, name, folder) as opened:
                if opened.is_folder:
                    self.skipped.append(Skipped(path, "a folder"))
                else:
                    self._read(path, opened)
        except _Refused as error:
            self.problems.append(error.problem)
        except OSError as error:
            self.problems.append(_unreadable(path, error))

    def _read(self, path: str, opened: _Position) -> None:
        self.files.append(_read(path, opened))
        warning = None if self.rules.trust else group_warning(_facts(opened.place, opened.facts))
        if warning is not None:
            self.problems.append(_problem(path, warning, Severity.WARNING))


def _read(path: str, opened: _Position) -> JobsText:
    pieces, left = [], LARGEST + 1
    while left and (piece := os.read(opened.descriptor, min(left, 2**20))):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        message = f"the file is larger than {LARGEST // 2**20} MiB"
        raise _Refused(path, Refusal(message, "is this a jobs file? Split it, or move it out of the jobs folder"))
    return JobsText(path, b"".join(pieces).decode("utf-8", "surrogateescape"), _stamp(path, opened.facts))


def _unreadable(path: str, error: OSError) -> Problem:
    hints = {
        errno.EACCES: f"namei -l {path} shows who may read it",
        errno.ENOENT: "create it, or name another with --jobs",
    }
    what = os.strerror(error.errno) if error.errno else str(error)
    hint = hints.get(error.errno or 0, "mend the path, or move it away")
    return Problem(Place(path, 1), f"the path can't be read: {what}", hint)


class Rules:
    """Opens a path component by component, judging each folder, link and file on the descriptor itself.

    What was judged is what is read: no name is looked up twice, so nobody can swap it in between.
    """

    def __init__(self, uid: int, *, trust: bool) -> None:
        """Judge for a runner of this uid; `trust` lets owners and modes pass, but still reads regular files only."""
        self.uid = uid
        self.trust = trust

    def open(self, shown: str, path: str, start: _Position) -> _Position:
        """Open `path` from `start`: a folder (O_PATH) or a regular file for reading. Raises _Refused or OSError."""
        todo = _parts(path)
        links = 0
        here = start.open(".", _FOLDER)
        try:
            while todo:
                name = todo.pop()
                facts = os.stat(name, dir_fd=here.descriptor, follow_symlinks=False)
                if stat.S_ISLNK(facts.st_mode):
                    links += 1
                    target = self._follow(shown, name, facts, here, links)
                    todo += _parts(target)
                    step = _Position.at_root() if target.startswith("/") else here
                elif todo or stat.S_ISDIR(facts.st_mode):
                    step = here.open(name, _FOLDER)
                else:
                    return self._open_file(shown, name, facts, here)
                if step is not here:
                    os.close(here.descriptor)
                    here = step
                    self._judge_folder(shown, here)
            return here.open(".", _FOLDER)
        finally:
            os.close(here.descriptor)

    def _follow(self, shown: str, name: str, facts: os.stat_result, here: _Position, links: int) -> str:
        if links > MOST_LINKS:
            raise _Refused(shown, Refusal("its symlinks lead round in a circle", "mend the links"))
        place = os.path.join(here.place, name)
        self._hold(shown, None if self.trust else judge_link(_facts(place, facts), self.uid))
        return os.readlink(name, dir_fd=here.descriptor)

    def _judge_folder(self, shown: str, here: _Position) -> None:
        if not self.trust:
            read_only = bool(os.fstatvfs(here.descriptor).f_flag & os.ST_RDONLY)
            self._hold(shown, judge_folder(_facts(here.place, here.facts), self.uid, read_only=read_only))

    def _open_file(self, shown: str, name: str, facts: os.stat_result, here: _Position) -> _Position:
        self._hold(shown, _judge_kind(facts))
        # O_NONBLOCK: should a FIFO have taken its place meanwhile, opening must not wait for a writer
        opened = here.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            self._hold(shown, _judge_kind(opened.facts))
            self._hold(shown, None if self.trust else judge_file(_facts(opened.place, opened.facts), self.uid))
        except _Refused:
            os.close(opened.descriptor)
            raise
        return opened

    def _hold(self, shown: str, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise _Refused(shown, refusal)


def _judge_kind(facts: os.stat_result) -> Refusal | None:
    if stat.S_ISREG(facts.st_mode):
        return None
    kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
    return Refusal(f"this is {kind}, not a file", "move it out of the jobs folder")


def _parts(path: str) -> list[str]:
    """Split a path into the components to walk, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]


def _facts(place: str, facts: os.stat_result) -> Facts:
    return Facts(place, facts.st_uid, _name(facts.st_uid), stat.S_IMODE(facts.st_mode))


def _name(uid: int) -> str:
    import pwd  # costs start-up time, and only refusals need it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a uid without an entry, as containers have it
        return str(uid)
