"""Which version of each jobs file is in force: the one that is there, or while that is bad the last good one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import Severity
from runjobs.core.names import merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runjobs.core.crontab import JobsFile
    from runjobs.core.errors import Problem
    from runjobs.core.job import Job


class Version(NamedTuple):
    """A jobs file: as it is now (None: it can't be read), and as it was when it was good (None: never, as is known).

    `is_same` says that what is there now is the good version itself.
    """

    path: str
    now: JobsFile | None
    good: JobsFile | None = None
    is_same: bool = False


class Verdict(NamedTuple):
    """The jobs in force, what is wrong with the files as they are now, and what became of each file.

    `held` are the paths of files whose last good version is in force instead; `fresh` of those that are good now
    and were not before.
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    held: frozenset[str]
    fresh: frozenset[str]


def judge(versions: Sequence[Version], *, is_strict: bool = False) -> Verdict:
    """Judge all files of a runner together.

    A file is bad when it can't be read, when it has an error, or when by its change a job is in the way of
    another file's job, or comes after one that is not there. A bad file that was never good runs the jobs of it that
    can run, unless `is_strict`: then none. Of two jobs of one name the one that is in force already goes on.
    """
    bad = {each.path for each in versions if each.now is None or has_error(each.now.problems)}
    own = [problem for each in versions if each.now is not None for problem in each.now.problems]
    told: list[Problem] = []
    while True:
        merged = merge(_in_force(versions, bad, is_strict=is_strict))
        changed = {each.path for each in versions if not each.is_same} - bad
        blamed = [problem for problem in merged.problems if problem.place.source in changed]
        if not blamed:
            break
        bad |= {problem.place.source for problem in blamed}
        told += [problem for problem in blamed if _gives_way(problem, versions, is_strict=is_strict)]
    order = {each.path: number for number, each in enumerate(versions)}
    jobs = tuple(sorted(merged.jobs, key=lambda job: order[job.source]))
    held = frozenset(each.path for each in versions if each.path in bad and _kept(each) is not None)
    fresh = frozenset(each.path for each in versions if each.path not in bad and not each.is_same)
    return Verdict(jobs, (*own, *told, *merged.problems), held, fresh)


def has_error(problems: Iterable[Problem]) -> bool:
    """Whether any of these problems is more than a warning."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def _in_force(versions: Sequence[Version], bad: set[str], *, is_strict: bool) -> list[JobsFile]:
    """The files as they count, without their own problems: first those that are in force already."""
    known: list[JobsFile] = []
    new: list[JobsFile] = []
    for each in versions:
        kept = _kept(each) if each.path in bad else None
        if kept is not None:
            known.append(kept)
        elif each.now is not None and not (is_strict and each.path in bad):
            (known if each.is_same else new).append(each.now)
    return [file._replace(problems=()) for file in (*known, *new)]


def _kept(version: Version) -> JobsFile | None:
    """What to fall back to; a version that was good for another runjobs, and is not for this one, is nothing."""
    return None if version.is_same or version.good is None or has_error(version.good.problems) else version.good


def _gives_way(problem: Problem, versions: Sequence[Version], *, is_strict: bool) -> bool:
    """Whether the file at fault is replaced as a whole, so that the problem is not found again."""
    return any(each.path == problem.place.source and (_kept(each) is not None or is_strict) for each in versions)
