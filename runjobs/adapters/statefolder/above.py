"""What lies above the state folder: nobody may be able to take that away and put another in its place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.core.errors import RunjobsError
from runjobs.core.trust import Facts, Judge, above_warning, judge_above, judge_state_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.trust import Refusal

MOST_LINKS: Final = 40  # followed for one path, as the kernel does, path_resolution(7)


def check_above(folder: Path) -> None:
    """See that nobody can take a folder away and put another in its place.

    Each step of the path is judged before the next is looked at, so a stranger has had no hand in that one.
    """
    judge = Judge(os.geteuid())
    for place, status in steps(folder):
        facts = facts_of(place, status)
        judgement = judge_state_link if stat.S_ISLNK(status.st_mode) else judge_above
        if judgement(facts, judge) is not None and not _is_from_outside(facts.owner):
            refusal = judgement(named(facts), judge)
            if refusal is not None:
                raise RunjobsError(refusal.message, refusal.hint)


def steps(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The folders above one, from the root on, and the links on the way there; up to what is not there yet."""
    here, todo = "/", _parts(str(path))
    yield here, os.lstat(here)
    links = 0
    while todo:
        place = os.path.normpath(os.path.join(here, todo.pop()))
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), place)
            yield place, status
            target = os.readlink(place)
            todo += _parts(target)
            here = "/" if target.startswith("/") else here
        else:
            here = place
            if todo:
                yield place, status


def _parts(path: str) -> list[str]:
    """The components of a path, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in {"", "."}]


def _is_from_outside(owner: int) -> bool:
    """Whether an owner has no number in our user namespace: what belongs to the machine around it, such as its /.

    All of those look alike, user_namespaces(7), and nobody in here can become one of them.
    """
    try:
        outside = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
        ranges = [tuple(map(int, line.split())) for line in lines]
    except (OSError, ValueError):
        return False
    return owner == outside and not any(first <= owner < first + count for first, _, count in ranges)


def doubts(root: Path) -> Iterator[Refusal]:
    """What is to be said of the folders above a state folder that is used all the same."""
    for folder, status in dict(steps(root)).items():
        if not stat.S_ISLNK(status.st_mode) and (doubt := above_warning(facts_of(folder, status))) is not None:
            yield above_warning(named(facts_of(folder, status))) or doubt


def facts_of(place: str, status: os.stat_result) -> Facts:
    """What is to be judged of a thing; its owner has no name yet."""
    mode = stat.S_IMODE(status.st_mode)
    may_be_fixed = bool(mode & 0o022) and stat.S_ISDIR(status.st_mode)
    is_fixed = may_be_fixed and bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    return Facts(place, status.st_uid, str(status.st_uid), mode, read_only=is_fixed)


def named(facts: Facts) -> Facts:
    """The same with its owner's name, which may take a name service to find."""
    import pwd

    try:
        return facts._replace(owner_name=pwd.getpwuid(facts.owner).pw_name)
    except KeyError:  # a uid without an entry, as containers have it
        return facts
