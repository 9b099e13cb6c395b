"""`runjobs check`: every mistake of the jobs files at once, and what will surprise."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.core.errors import Place, Problem, RunjobsError, Severity
from runjobs.render.problems import draw_problem
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.render.screen import Screen
    from runjobs.runner.loading import Loaded
    from runjobs.settings import Settings

Strict = Annotated[bool, typer.Option("--strict", help="Let warnings count as errors do.")]


def check(
    jobs: options.Jobs = None,
    state: options.State = None,
    strict: Strict = False,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> int:
    """Check the jobs files: all mistakes at once, and what will surprise.

    \b
    runjobs check
    runjobs check --jobs crontab.txt
    runjobs check --strict --jobs jobs.d     in CI: warnings count, too

    It also says which files are read, which are skipped, and why, and where a file is bad, whether its last good
    version (of the state folder) is in force. Exits 0 if all is well and 78 if anything is an
    error; a warning alone is none, unless --strict makes it one.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with waiting("checking the jobs files"):
        loaded, problems = examine(settings)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(settings, loaded, problems)))
    else:
        print(text(settings, loaded, problems, screen_of(sys.stdout)))
    fatal = any(strict or problem.severity is Severity.ERROR for problem in problems)
    return RunjobsError.exit_code if fatal else 0


def examine(settings: Settings) -> tuple[Loaded, list[Problem]]:
    """Load the jobs and return all that is to be said of them, in the order of files and lines."""
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    problems = [
        *loaded.problems,
        *find_surprises(loaded, settings),
        *doubt_env_files(loaded, settings),
        *doubt_limits(loaded),
    ]
    return loaded, sorted(problems, key=lambda problem: problem.place)


def find_surprises(loaded: Loaded, settings: Settings) -> Iterator[Problem]:
    """Yield what will surprise in the files that were loaded."""
    from runjobs.core.surprises import surprises

    now, path = datetime.now(UTC), os.environ.get("PATH", os.defpath)
    texts = [file.text for folder in loaded.folders for file in folder.files]
    state = os.path.abspath(settings.state)
    for jobs, text in zip(loaded.files, texts, strict=True):
        yield from surprises(jobs, text, now=now, path=path, find_command=command_exists, state=state)


def doubt_env_files(loaded: Loaded, settings: Settings) -> Iterator[Problem]:
    """Yield what is to be said of the jobs' env-files; warnings, since they are read anew at each start."""
    if any(job.options.env_file for job in loaded.jobs):
        from runjobs.runner.equip import doubts

        for job, doubt in doubts(loaded.jobs, trust=settings.trust_jobs):
            yield Problem(Place(job.source, job.line), doubt.message, doubt.hint, severity=Severity.WARNING)


def doubt_limits(loaded: Loaded) -> Iterator[Problem]:
    """Yield the limits that can't be held from here: errors where nobody could, on this machine."""
    from runjobs.core.limits import limits_of, unheld

    if any(limits_of(job.options).controllers for job in loaded.jobs):
        from runjobs.runner.limits import find_lack

        yield from unheld(loaded.jobs, find_lack)


def command_exists(word: str, path: str) -> bool:
    """Tell whether a shell would find a command; a path that depends on the job's folder has the benefit of doubt."""
    if "/" in word and not word.startswith("/"):
        return True
    return shutil.which(word, path=path) is not None


def text(settings: Settings, loaded: Loaded, problems: Sequence[Problem], screen: Screen) -> str:
    """Return what was read, what was skipped, each problem, and the sum."""
    lines = [f"jobs: {printable(', '.join(settings.jobs))} (chosen by {settings.jobs_why})"]
    lines += [f"skipped: {printable(skipped.path)}: {skipped.reason}" for skipped in loaded.skipped]
    lines += [draw_problem(problem, screen) for problem in problems]
    return "\n".join([*lines, summary(loaded, problems)])


def summary(loaded: Loaded, problems: Sequence[Problem]) -> str:
    """Return the sum: `3 files, 12 jobs, 1 error, 2 warnings`."""
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    counts = (
        (len(loaded.files), "file"),
        (len(loaded.jobs), "job"),
        (errors, "error"),
        (len(problems) - errors, "warning"),
    )
    return ", ".join(counted(number, noun) for number, noun in counts)


def as_json(settings: Settings, loaded: Loaded, problems: Sequence[Problem]) -> dict[str, object]:
    """Return all that `check` knows, for machines."""
    return {
        "paths": settings.jobs,
        "chosen_by": settings.jobs_why,
        "files": [file.source for file in loaded.files],
        "skipped": [skipped._asdict() for skipped in loaded.skipped],
        "jobs": len(loaded.jobs),
        "errors": sum(problem.severity is Severity.ERROR for problem in problems),
        "warnings": sum(problem.severity is Severity.WARNING for problem in problems),
        "problems": [_problem(problem) for problem in problems],
    }


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "severity": problem.severity,
        **problem.place._asdict(),
        "message": problem.message,
        "hint": problem.hint,
        "text": problem.text,
        "other": problem.other and problem.other._asdict(),
    }
