"""A look at paths: what is there, by stat(2). What it means that two looks differ is said in core/watching."""

from __future__ import annotations

import os
import re
import stat
from fnmatch import translate
from typing import TYPE_CHECKING, Final

from runjobs.core.watching import FOLDER, Seen, Sight
from runjobs.core.watchpaths import is_glob, literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FILE: Final = "f"
LINK: Final = "l"
INODES: Final = 1 << 64  # a link's own inode and that of what it leads to, as one number


# what a log of this name is called when it is turned over, or compressed; and a file that is written anew
OLDER: Final = r"(\.[0-9]{8}T[0-9]{6}\.[0-9]{3}Z.*)?"
ANEW: Final = r"\.[0-9]+\.tmp"


class Ours:
    """What is left out of every look, since each run changes it: our own folders, and our own files elsewhere."""

    def __init__(self, folders: Iterable[str], files: Iterable[str] = ()) -> None:
        """Find them; what is not there leaves nothing out. Files are left out with what is made of them beside them."""
        self._folders = {_identity(folder) for folder in folders} - {None}
        names: dict[tuple[int, int] | None, list[str]] = {}
        for path in files:
            folder, name = os.path.split(os.path.realpath(path))
            own = re.escape(name)
            names.setdefault(_identity(folder), []).append(rf"{own}{OLDER}|\.{own}{ANEW}")
        self._files = {folder: re.compile("|".join(each)) for folder, each in names.items()}

    def is_folder(self, facts: os.stat_result) -> bool:
        """Whether this is one of the folders, by whatever path it was reached."""
        return (facts.st_dev, facts.st_ino) in self._folders

    def has(self, path: str) -> bool:
        """Whether a path, through none but folders, is in one of the folders, or is one."""
        while _identity(path) not in self._folders:
            if path == "/" or not path:
                return False
            path = os.path.dirname(path)
        return True

    def names_in(self, facts: os.stat_result) -> re.Pattern[str] | None:
        """The names of our files in this folder; None: there are none."""
        return self._files.get((facts.st_dev, facts.st_ino)) if self._files else None

    def has_file(self, path: str) -> bool:
        """Whether a path, which is no link, is one of our files."""
        folder, name = os.path.split(path)
        if not any(names.fullmatch(name) for names in self._files.values()):
            return False
        names = self._files.get(_identity(folder))
        return names is not None and names.fullmatch(name) is not None


def _identity(path: str) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def look(patterns: Sequence[str], *, recursive: bool, without: Ours) -> Sight:
    """Look at every path that these stand for: a file, a folder with its entries, with all below it if recursive.

    Never raises: what can't be looked at is in the result, with the reason.
    """
    looking = _Look(without, recursive=recursive)
    for pattern in patterns:
        for path in looking.expand(pattern):
            looking.target(path)
    return Sight(
        looking.entries,
        looking.touched,
        frozenset(looking.places),
        looking.unread,
        looking.missing,
        frozenset(looking.ours),
    )


class _Look:
    """One look, as far as it has come."""

    def __init__(self, without: Ours, *, recursive: bool) -> None:
        self.entries: dict[str, Seen] = {}
        self.unread: dict[str, str] = {}
        self.missing: dict[str, int] = {}
        self.places: set[str] = set()
        self.ours: set[str] = set()
        self.touched = 0
        self._without = without
        self._recursive = recursive
        self._folders: dict[str, bool] = {}  # whether they are in one of ours

    def expand(self, pattern: str) -> list[str]:
        """The paths of a pattern, whether or not they exist where it is none."""
        found = ["/"]
        for name in filter(None, pattern.split("/")):
            if is_glob(name):
                found = [os.path.join(base, each) for base in found for each in self._matches(base, name)]
            else:
                found = [os.path.join(base, literal(name)) for base in found]
        if not is_glob(pattern.rpartition("/")[2]):
            self.places.update(path for path in found if not self._is_inside(path))
        return found

    def _matches(self, folder: str, pattern: str) -> list[str]:
        if self._is_inside(folder):
            return []
        matches = re.compile(translate(pattern)).match
        shows_hidden = pattern.startswith(".")
        names = [entry.name for entry in self._list(folder)]
        return sorted(name for name in names if (shows_hidden or not name.startswith(".")) and matches(name))

    def target(self, path: str) -> None:
        """Look at one path, wherever it leads."""
        if self._is_ours(path):
            return
        try:
            facts = os.stat(path)
        except OSError as error:
            self._miss(path, error)
            if path not in self.unread:
                self.missing[path] = _touched_above(path)
            return
        if not stat.S_ISDIR(facts.st_mode):
            self.entries[path] = _seen(FILE, facts)
        elif not self._without.is_folder(facts):
            self.entries[path] = Seen(FOLDER, facts.st_ino)
            self._below(path)

    def _below(self, path: str) -> None:
        todo = [path]
        while todo:
            for entry in self._list(todo.pop()):
                try:
                    facts = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._miss(entry.path, error)
                    continue
                if stat.S_ISDIR(facts.st_mode):
                    if self._without.is_folder(facts):
                        continue
                    self.entries[entry.path] = Seen(FOLDER, facts.st_ino)
                    if self._recursive:
                        todo.append(entry.path)
                elif stat.S_ISLNK(facts.st_mode):
                    self.places.add(entry.path)
                    self.entries[entry.path] = self._link(entry.path, facts)
                else:
                    self.entries[entry.path] = _seen(FILE, facts)

    def _list(self, folder: str) -> Iterator[os.DirEntry[str]]:
        self.places.add(folder)
        try:
            facts = os.stat(folder)
            self.touched = max(self.touched, facts.st_mtime_ns)
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            self._miss(folder, error)
            return
        if (names := self._without.names_in(facts)) is None:
            yield from found
            return
        for entry in found:
            if names.fullmatch(entry.name):
                self.ours.add(entry.path)
            else:
                yield entry

    def _link(self, path: str, own: os.stat_result) -> Seen:
        """A link, which changes when it leads elsewhere, and when the file does that it leads to, if that is not ours.

        A folder that it leads to is no part of it.
        """
        seen = _seen(LINK, own)
        try:
            there = os.stat(path)
        except OSError:  # it leads nowhere, for now
            return seen
        if stat.S_ISDIR(there.st_mode) or self._leads_to_ours(path):
            return seen
        inode = own.st_ino * INODES + there.st_ino
        times = max(own.st_mtime_ns, there.st_mtime_ns), max(own.st_ctime_ns, there.st_ctime_ns)
        return Seen(LINK, inode, there.st_size, *times)

    def _is_ours(self, path: str) -> bool:
        """Whether a path is ours, or leads to what is; noted where it is a file."""
        if self._is_inside(os.path.dirname(path)):
            return True
        is_ours = self._leads_to_ours(path) if os.path.islink(path) else self._without.has_file(path)
        if is_ours:
            self.ours.add(path)
        return is_ours

    def _is_inside(self, folder: str) -> bool:
        if folder not in self._folders:
            self._folders[folder] = self._without.has(os.path.realpath(folder))
        return self._folders[folder]

    def _leads_to_ours(self, link: str) -> bool:
        path = os.path.realpath(link)
        return self._without.has_file(path) or self._is_inside(os.path.dirname(path)) or self._is_inside(path)

    def _miss(self, path: str, error: OSError) -> None:
        """Nothing is there, or nobody can tell."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self.unread[path] = error.strerror or str(error)


def _seen(kind: str, facts: os.stat_result) -> Seen:
    return Seen(kind, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def _touched_above(path: str) -> int:
    """When a name came to, or went from, the last folder that is there on the way to a path (nanoseconds)."""
    while path not in {"/", ""}:
        path = os.path.dirname(path)
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            continue
    return 0
