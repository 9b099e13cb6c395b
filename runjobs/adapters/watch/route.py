"""What the kernel has to be asked about so that no change at a path goes unnoticed, path_resolution(7)."""

from __future__ import annotations

import os
import stat
from enum import IntFlag
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_LINKS: Final = 40  # as the kernel has it


class Ask(IntFlag):
    """What is asked about one place, as sets of inotify(7)'s events."""

    ITSELF = 1  # it is moved away or deleted: something else may stand there now
    CONTENT = 2  # it is written to
    ENTRIES = 4  # names come and go, and the files of these names are written to
    ARRIVALS = 8  # names come
    MODE = 16  # its mode, owner or links change: of a folder this tells the same of all that is in it, be it /tmp


class Spot(NamedTuple):
    """One place on the way: a path none of whose folders is a link, and what stands there now."""

    path: str
    device: int
    inode: int


def wanted(paths: Iterable[str]) -> dict[Spot, Ask]:
    """All spots that lead to these paths, and the paths, each with what to ask about it."""
    found: dict[Spot, Ask] = {}
    for path in paths:
        for spot, ask in walk(os.path.abspath(path)):
            found[spot] = found.get(spot, Ask(0)) | ask
    return found


def walk(path: str) -> Iterator[tuple[Spot, Ask]]:
    """Go to a path as the kernel would; where it ends, or where the next name is missing, more is asked."""
    todo, at, links = _parts(path), "/", 0
    here = _spot(at, os.stat(at))
    while todo:
        name = todo.pop()
        path = os.path.dirname(at) if name == ".." else os.path.join(at, name)
        try:
            facts = os.lstat(path)
        except FileNotFoundError:  # what arrives in the last folder may change that
            yield here, Ask.ITSELF | Ask.ARRIVALS
            return
        except OSError:  # not ours to enter
            yield here, Ask.ITSELF | Ask.ARRIVALS | Ask.MODE
            return
        spot = _spot(path, facts)
        if stat.S_ISLNK(facts.st_mode):
            yield spot, Ask.ITSELF | Ask.MODE
            links += 1
            if links > MOST_LINKS:
                return
            target = _target(path)
            todo += _parts(target)
            at = "/" if target.startswith("/") else at
            here = _spot(at, os.stat(at))
        elif stat.S_ISDIR(facts.st_mode):
            at, here = path, spot
            yield spot, Ask.ITSELF | (Ask(0) if todo else Ask.ENTRIES)
        else:
            yield spot, Ask.ITSELF | Ask.CONTENT
            return
    if at == "/":
        yield here, Ask.ITSELF | Ask.ENTRIES


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # replaced since: whoever replaced it is noticed by the look that follows
        return "."


def _spot(path: str, facts: os.stat_result) -> Spot:
    return Spot(path, facts.st_dev, facts.st_ino)


def _parts(path: str) -> list[str]:
    """Its names, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]
