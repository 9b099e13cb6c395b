"""Two sets of jobs compared by what they do: the fires of a window, the commands, the options."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.duration import format_duration
from runjobs.core.job import Options, Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from runjobs.core.job import Job

SHOWN: Final = 3  # fires of each side that are kept as examples
TEXTS: Final = ("command", "stdin")
_DERIVED: Final = re.compile(r"-[0-9a-f]{6}(?:\.[0-9]+)?$")  # core.names.derived_name


class Kind(Enum):
    """What became of a job; it may have moved and changed at once."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    MOVED = "moved"
    CHANGED = "changed"
    REWRITTEN = "rewritten"


class Window(NamedTuple):
    """The time whose fires are compared: strictly after one instant, up to another and with it."""

    start: datetime
    end: datetime


class Fires(NamedTuple):
    """How the fires of two jobs differ: how many each has, how many it has alone, and the first of those."""

    old: int
    new: int
    only_old: int
    only_new: int
    gone: tuple[datetime, ...]
    come: tuple[datetime, ...]

    @property
    def differ(self) -> bool:
        """Whether either has one that the other has not."""
        return bool(self.only_old or self.only_new)


class Change(NamedTuple):
    """One value of a job that is another one now: its name, and both sides as text ("" where there is none)."""

    what: str
    old: str
    new: str


class Difference(NamedTuple):
    """One job that differs. `old` is None where it was added, `new` where it was removed.

    `fires` is None where the schedule is the same, so that nobody looked.
    """

    kinds: tuple[Kind, ...]
    old: Job | None
    new: Job | None
    fires: Fires | None
    changes: tuple[Change, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it does anything else than before; the same fires written otherwise are no difference."""
        return self.kinds != (Kind.REWRITTEN,)


def compare(old: Mapping[str, Job], new: Mapping[str, Job], window: Window) -> list[Difference]:
    """Return the jobs that differ, in the order of the new set, removed ones at the end.

    A job that is gone and one that has come are one renamed job where command, input and schedule are the same.
    """
    renamed = _renamed(old, new)
    found = []
    for name, job in new.items():
        before = old.get(name) or renamed.get(name)
        difference = _added(job, window) if before is None else _compared(before, job, window)
        if difference is not None:
            found.append(difference)
    kept = {job.name for job in renamed.values()}
    gone = (job for name, job in old.items() if name not in new and name not in kept)
    return found + [Difference((Kind.REMOVED,), job, None, fires_of(job, None, window)) for job in gone]


def _added(job: Job, window: Window) -> Difference:
    return Difference((Kind.ADDED,), None, job, fires_of(None, job, window))


def _renamed(old: Mapping[str, Job], new: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs that have come under another name, with those that they were; each is the heir of one at most."""
    heirs: dict[str, Job] = {}
    for likeness in (_essence, _tail):
        gone: dict[object, list[Job]] = {}
        taken = {job.name for job in heirs.values()}
        for job in (job for name, job in old.items() if name not in new and name not in taken):
            gone.setdefault(likeness(job), []).append(job)
        for name, job in new.items():
            if name not in old and name not in heirs and (left := gone.get(likeness(job))):
                heirs[name] = left.pop(0)
    return heirs


def _essence(job: Job) -> tuple[str, ...]:
    return job.command, job.stdin or "", job.schedule.expression.lower(), job.schedule.tz or ""


def _compared(old: Job, new: Job, window: Window) -> Difference | None:
    changes = tuple(_changes(old, new))
    is_written_alike = old.schedule.expression == new.schedule.expression and old.schedule.tz == new.schedule.tz
    fires = fires_of(old, new, window)
    has_moved = fires is not None and (fires.differ or _differ_later(old, new, fires, window))
    kinds = [Kind.RENAMED] if old.name != new.name and _tail(old) != _tail(new) else []
    kinds += [Kind.MOVED] if has_moved else []
    kinds += [Kind.CHANGED] if changes else []
    if not kinds and not is_written_alike:
        kinds = [Kind.REWRITTEN]
    return Difference(tuple(kinds), old, new, fires, changes) if kinds else None


def _tail(job: Job) -> object:
    """What is left of a name that was made from file and command where the file has another one; else the name."""
    file, _, tail = job.name.rpartition("/")
    return tail if file and _DERIVED.search(tail) else (job.name,)


def _differ_later(old: Job, new: Job, fires: Fires, window: Window) -> bool:
    """Whether jobs of other schedules that have no fire in the window fire at other times after it, or by no time."""
    if fires.old or not (old.options.enabled and new.options.enabled):
        return False
    first, second = old.schedule.next(window.end), new.schedule.next(window.end)
    return first != second or first is None


def fires_of(old: Job | None, new: Job | None, window: Window) -> Fires | None:
    """Compare the fires of two jobs in a window, walking both at once; a job that is switched off has none.

    None: their schedules are the same, so are their fires.
    """
    if old is not None and new is not None and _fire_alike(old, new):
        return None
    gone: list[datetime] = []
    come: list[datetime] = []
    numbers = [0, 0, 0, 0]
    for when, in_old, in_new in _both(_walk(old, window), _walk(new, window)):
        numbers[0] += in_old
        numbers[1] += in_new
        if in_old != in_new:
            numbers[2 if in_old else 3] += 1
            examples = gone if in_old else come
            if len(examples) < SHOWN:
                examples.append(when)
    return Fires(numbers[0], numbers[1], numbers[2], numbers[3], tuple(gone), tuple(come))


def _fire_alike(old: Job, new: Job) -> bool:
    return old.schedule.key == new.schedule.key and old.options.enabled == new.options.enabled


def _walk(job: Job | None, window: Window) -> Iterator[datetime]:
    if job is None or not job.options.enabled:
        return
    when = job.schedule.next(window.start)
    while when is not None and when <= window.end:
        yield when
        when = job.schedule.next(when)


def _both(old: Iterator[datetime], new: Iterator[datetime]) -> Iterator[tuple[datetime, bool, bool]]:
    """Merge two rows of instants: each once, with which of the rows has it."""
    left, right = next(old, None), next(new, None)
    while left is not None or right is not None:
        when = min(each for each in (left, right) if each is not None)
        in_old, in_new = left == when, right == when
        yield when, in_old, in_new
        if in_old:
            left = next(old, None)
        if in_new:
            right = next(new, None)


def _changes(old: Job, new: Job) -> Iterator[Change]:
    """Yield what else differs: command, input, environment, options. Values of variables may be secret: not shown."""
    for what in TEXTS:
        before, after = getattr(old, what), getattr(new, what)
        if before != after:
            yield Change(what, before or "", after or "")
    before, after = dict(old.environment), dict(new.environment)
    for name in sorted({name for name, _ in {*before.items()} ^ {*after.items()}}):
        after_it = "" if name not in after else "another value" if name in before else "set"
        yield Change(f"variable {name}", "set" if name in before else "", after_it)
    for option in fields(Options):
        left, right = getattr(old.options, option.name), getattr(new.options, option.name)
        if left != right and option.name != "tz":  # the zone shows in the fires
            write = _octal if option.name == "umask" else written
            yield Change(option.name.replace("_", "-"), write(left), write(right))


def _octal(value: int | None) -> str:
    return "none" if value is None else f"{value:03o}"


def written(value: object) -> str:
    """Write the value of an option as a jobs file has it."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return format_duration(value)
        case Pool():
            return f"{value.name}:{value.size}"
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(map(str, value)) or "none"
        case frozenset():
            return ",".join(sorted(written(each) for each in value)) or "none"
    return str(value)
