"""What the asking commands have in common: they load the jobs, and say aside what is wrong with the files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runjobs.cli.streams import complain
from runjobs.core.errors import RunjobsError, UsageError
from runjobs.core.nearest import nearest_word
from runjobs.render.problems import draw_problem
from runjobs.render.screen import screen_of
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.errors import Problem
    from runjobs.core.job import Job
    from runjobs.settings import Settings


def jobs(settings: Settings, names: Sequence[str] | None = None) -> list[Job]:
    """Return the jobs, or those of the given names in the order given.

    An unknown name is a UsageError; no job at all where files have errors is a RunjobsError.
    """
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    mention(loaded.errors)
    if not loaded.jobs:
        nothing = f"no jobs in {', '.join(settings.jobs)} (chosen by {settings.jobs_why})"
        if loaded.errors:
            raise RunjobsError(nothing, "runjobs check")
        complain(f"runjobs: {printable(nothing)}")
    if not names:
        return list(loaded.jobs)
    known = {job.name: job for job in loaded.jobs}
    return [find(name, known) for name in dict.fromkeys(names)]


def find(name: str, known: dict[str, Job]) -> Job:
    """Return the job of a name; a UsageError names the nearest one."""
    if name in known:
        return known[name]
    raise UsageError(f"no job is named {name}", nearest_word(name, known) or "runjobs list")


def mention(wrong: Sequence[Problem]) -> None:
    """Say on standard error that files have errors: what is shown may not be all there is."""
    if len(wrong) == 1:
        complain(draw_problem(wrong[0], screen_of(sys.stderr)))
    elif wrong:
        files = sorted({problem.place.source for problem in wrong})
        more = f" and {counted(len(files) - 1, 'other file')}" if len(files) > 1 else ""
        complain(f"runjobs: {counted(len(wrong), 'error')} in {printable(files[0])}{more}\n  try: runjobs check")
