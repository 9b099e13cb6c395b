"""`runjobs check`: every mistake of the jobs files at once, and what will surprise."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.core.errors import Problem, RunjobsError, Severity
from runjobs.render.problems import draw_problem
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.adapters.files import Folder
    from runjobs.settings import Settings
    from runjobs.wiring import Loaded

Strict = Annotated[bool, typer.Option("--strict", help="Let warnings count as errors do.")]


def check(
    jobs: options.Jobs = None,
    strict: Strict = False,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> int:
    """Check the jobs files: all mistakes at once, and what will surprise.

    It also says which files are read, which are skipped, and why. Exits 0 if all is well and 78 if anything is an
    error; a warning alone is none, unless --strict makes it one.
    """
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs)
    with waiting("checking the jobs files"):
        loaded, problems = examine(settings)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(settings, loaded, problems)))
    else:
        say(settings, loaded, problems)
    fatal = any(strict or problem.severity is Severity.ERROR for problem in problems)
    return RunjobsError.exit_code if fatal else 0


def examine(settings: Settings) -> tuple[Loaded, list[Problem]]:
    """Load the jobs and return all that is to be said of them, in the order of files and lines."""
    from runjobs.wiring import load_jobs, read_jobs

    folders = read_jobs(settings)
    loaded = load_jobs(settings, folders)
    problems = [*loaded.problems, *find_surprises(loaded, folders)]
    return loaded, sorted(problems, key=lambda problem: problem.place)


def find_surprises(loaded: Loaded, folders: Sequence[Folder]) -> Iterator[Problem]:
    """Yield what will surprise in the files that were loaded from these folders."""
    from runjobs.core.surprises import surprises

    now, path = datetime.now(UTC), os.environ.get("PATH", os.defpath)
    texts = [file.text for folder in folders for file in folder.files]
    for jobs, text in zip(loaded.files, texts, strict=True):
        yield from surprises(jobs, text, now=now, path=path, find_command=command_exists)


def command_exists(word: str, path: str) -> bool:
    """Tell whether a shell would find a command; a path that depends on the job's folder has the benefit of doubt."""
    if "/" in word and not word.startswith("/"):
        return True
    return shutil.which(word, path=path) is not None


def say(settings: Settings, loaded: Loaded, problems: Sequence[Problem]) -> None:
    """Print what was read, what was skipped, each problem, and the sum."""
    screen = screen_of(sys.stdout)
    print(f"jobs: {printable(', '.join(settings.jobs))} (chosen by {settings.jobs_why})")
    for skipped in loaded.skipped:
        print(f"skipped: {printable(skipped.path)}: {skipped.reason}")
    for problem in problems:
        print(draw_problem(problem, screen))
    print(summary(loaded, problems))


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
