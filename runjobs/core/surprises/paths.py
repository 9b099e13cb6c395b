"""What will surprise in the paths of `@watch`."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from runjobs.core.errors import FieldError
from runjobs.core.job import On
from runjobs.core.schedule import WatchSchedule
from runjobs.core.watchpaths import is_glob, literal

if TYPE_CHECKING:
    from runjobs.core.surprises.seen import Seen

_OUTPUT: Final = re.compile(r"(?:>{1,2}[ \t]*|\btee(?:[ \t]+-a)?[ \t]+)([A-Za-z0-9_./-]+)")


def in_state_folder(seen: Seen) -> FieldError | None:
    """A path in the state folder, which is left out of every look: each run writes there."""
    for path in _paths(seen):
        if seen.state and _is_below(literal(path), seen.state.rstrip("/")):
            hint = "what becomes of a job is told by runjobs history, and by after= to other jobs"
            return _at_paths(seen, f"{literal(path)} is in the state folder, which is never watched", hint)
    return None


def own_output(seen: Seen) -> FieldError | None:
    """A command whose output goes to where it watches: each run would cause the next one."""
    if not seen.job.options.on & {On.WRITE, On.CREATE, On.MOVE}:
        return None
    for match in _OUTPUT.finditer(seen.job.command):
        written = match[1] if match[1].startswith("/") else f"{seen.job.options.cwd}/{match[1]}"
        if any(_is_watched(written, path, recursive=seen.job.options.recursive) for path in _paths(seen)):
            start = seen.line.find(match[1], seen.at)
            message = f"the job writes to {match[1]}, which it watches: each run causes the next one"
            hint = "write somewhere else, or watch a glob that does not have that file"
            return FieldError(message, hint, start=start, end=start + len(match[1]))
    return None


def watched_program(seen: Seen) -> FieldError | None:
    """`@watch /in /bin/import -- x`: a program among the paths may have been meant as the command."""
    for path in _paths(seen)[1:]:
        if seen.find_command is not None and not is_glob(path) and seen.find_command(literal(path), seen.path):
            hint = "if it is the command, write -- before it"
            return _at_paths(seen, f"{literal(path)} is a program, and is watched as a path", hint)
    return None


def _paths(seen: Seen) -> tuple[str, ...]:
    return seen.job.schedule.paths if isinstance(seen.job.schedule, WatchSchedule) else ()


def _at_paths(seen: Seen, message: str, hint: str) -> FieldError:
    start = seen.line.index(seen.job.schedule.expression)
    return FieldError(message, hint, start=start, end=start + len(seen.job.schedule.expression))


def _is_watched(written: str, path: str, *, recursive: bool) -> bool:
    if is_glob(path):
        return fnmatchcase(written, path)
    return written == literal(path) or (_is_below(written, literal(path)) and (recursive or _is_in(written, path)))


def _is_in(written: str, path: str) -> bool:
    return written.rpartition("/")[0] == literal(path)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")
