"""Opening a path one component after the other, each judged on its own descriptor."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Self

from runjobs.core.trust import Facts, Judge, Refusal, judge_file, judge_folder, judge_kind, judge_link

if TYPE_CHECKING:
    from collections.abc import Callable

    Judgement = Callable[[Facts], Refusal | None]

MOST_LINKS = 40  # symlinks followed for one path, as the kernel does, path_resolution(7)
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: should a FIFO have taken a file's place meanwhile, opening must not wait for a writer
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


class RefusedError(Exception):
    """A path that can't be used, by the judgement on it or on something above it."""

    def __init__(self, refusal: Refusal) -> None:
        """Keep what is wrong, and the way out."""
        super().__init__(refusal.message)
        self.refusal = refusal


class Position:
    """An open descriptor with the real path it stands for; closes itself."""

    __slots__ = ("descriptor", "facts", "place")

    def __init__(self, descriptor: int, place: str) -> None:
        """Take over a descriptor."""
        self.descriptor = descriptor
        self.place = place
        self.facts = os.fstat(descriptor)

    @classmethod
    def at_root(cls) -> Position:
        """Where every absolute path begins."""
        return cls(os.open("/", _FOLDER), "/")

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; else it is a regular file, open for reading."""
        return stat.S_ISDIR(self.facts.st_mode)

    def open(self, name: str, flags: int) -> Position:
        """Open the entry of a folder. OSError says why it can't be."""
        place = os.path.normpath(os.path.join(self.place, name))
        return Position(os.open(name, flags, dir_fd=self.descriptor), place)

    def seen(self) -> Facts:
        """What is to be judged of it."""
        read_only = bool(os.fstatvfs(self.descriptor).f_flag & os.ST_RDONLY)
        return facts_of(self.place, self.facts)._replace(read_only=read_only)

    def __enter__(self) -> Self:
        """Be closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


class Rules:
    """Opens a path component by component, judging each folder, link and file on the descriptor itself.

    What was judged is what is read: no name is looked up twice, so nobody can swap it in between.
    """

    def __init__(self, judge: Judge, *, trust: bool) -> None:
        """Judge so; `trust` lets owners, modes and hard links pass, but still reads regular files only."""
        self.judge = judge
        self.trust = trust

    def open_path(self, path: str) -> Position:
        """Open a path from the root, or from the current folder: as `open`."""
        with Position.at_root() as root:
            self._hold_folder(root, is_named=False)
            # a daemon may outlive the folder that it was started in, and needs it for relative paths only
            return self.open(path if os.path.isabs(path) else os.path.join(os.getcwd(), path), root)

    def open(self, path: str, start: Position) -> Position:
        """Open `path` from `start`: a folder (O_PATH) or a regular file for reading. RefusedError, OSError."""
        todo = _parts(path)
        links = 0
        here = start.open(".", _FOLDER)
        try:
            while todo:
                name = todo.pop()
                facts = os.stat(name, dir_fd=here.descriptor, follow_symlinks=False)
                if stat.S_ISLNK(facts.st_mode):
                    links += 1
                    target = self._follow(name, facts, here, links)
                    todo += _parts(target)
                    step = Position.at_root() if target.startswith("/") else here
                elif todo or stat.S_ISDIR(facts.st_mode):
                    step = here.open(name, _FOLDER)
                else:
                    return self._open_file(name, facts, here)
                if step is not here:
                    os.close(here.descriptor)
                    here = step
                    self._hold_folder(here, is_named=not todo)
            return here.open(".", _FOLDER)
        finally:
            os.close(here.descriptor)

    def _follow(self, name: str, facts: os.stat_result, here: Position, links: int) -> str:
        place = os.path.join(here.place, name)
        if links > MOST_LINKS:
            raise RefusedError(Refusal(f"{place} leads round in a circle of symlinks", "mend the links"))
        hold(facts_of(place, facts), self._judge_link)
        return os.readlink(name, dir_fd=here.descriptor)

    def _open_file(self, name: str, facts: os.stat_result, here: Position) -> Position:
        _hold_kind(os.path.join(here.place, name), facts)
        opened = here.open(name, _FILE)
        try:
            _hold_kind(opened.place, opened.facts)
            if not self.trust:
                hold(opened.seen(), self._judge_file)
        except BaseException:
            os.close(opened.descriptor)
            raise
        return opened

    def _hold_folder(self, folder: Position, *, is_named: bool) -> None:
        if not self.trust:
            hold(folder.seen(), partial(judge_folder, judge=self.judge, is_named=is_named))

    def _judge_link(self, link: Facts) -> Refusal | None:
        return judge_link(link, self.judge, trust=self.trust)

    def _judge_file(self, file: Facts) -> Refusal | None:
        return judge_file(file, self.judge)


def read_up_to(limit: int, file: Position) -> bytes | None:
    """All of a file that is open; None where it has more bytes than so many. OSError as read(2)."""
    pieces, left = [], limit + 1
    while left and (piece := os.read(file.descriptor, min(left, 2**20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces) if left else None


def hold(facts: Facts, judgement: Judgement) -> None:
    """Raise RefusedError where a judgement refuses."""
    refusal = told(facts, judgement)
    if refusal is not None:
        raise RefusedError(refusal)


def told(facts: Facts, judgement: Judgement) -> Refusal | None:
    """Judge; where there is something to say, say it with the owner's name, which may take a name service to find."""
    if judgement(facts) is None:
        return None
    return judgement(facts._replace(owner_name=_name(facts.owner)))


def _hold_kind(place: str, facts: os.stat_result) -> None:
    hold(facts_of(place, facts), lambda seen: judge_kind(seen, facts.st_mode))


def facts_of(place: str, facts: os.stat_result) -> Facts:
    """What is to be judged of a thing, from stat(2); its owner has no name yet."""
    return Facts(place, facts.st_uid, str(facts.st_uid), stat.S_IMODE(facts.st_mode), facts.st_nlink)


def _name(uid: int) -> str:
    import pwd  # costs start-up time, and only refusals need it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a uid without an entry, as containers have it
        return str(uid)


def _parts(path: str) -> list[str]:
    """Split a path into the components to walk, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]
