"""`runjobs doctor`: all that runjobs depends on, what is wrong with it, and the way out."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.cli import options
from runjobs.core.finding import Finding, Level, fine, has_problem, note, problem
from runjobs.render.glyphs import told
from runjobs.render.progress import waiting
from runjobs.render.screen import screen_of
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.render.screen import Screen
    from runjobs.runner.loading import Loaded
    from runjobs.settings import Settings

COLORS: Final = {Level.OK: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}
AREA: Final = 8  # cells of the longest area, "versions"


def doctor(
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> int:
    """Check all that runjobs depends on: folders, disk, ledger, clock, zones, limits, and what was left behind.

    \b
    runjobs doctor
    runjobs doctor --json

    Nothing is changed. Exits 0 if all is well, notes included, and 1 if there is a problem.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with waiting("looking at everything"):
        findings = examine(settings)
    if json:
        from runjobs.render.json import to_json

        print(to_json({"findings": [finding._asdict() for finding in findings]}))
    else:
        say(findings)
    return 1 if has_problem(findings) else 0


def examine(settings: Settings) -> list[Finding]:
    """Look at the jobs files, and at all the rest."""
    from runjobs.adapters.statefolder import folder_at
    from runjobs.runner import checkup
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    where = f"{', '.join(settings.jobs)} (chosen by {settings.jobs_why})"
    if loaded.errors:
        first = problem("jobs", f"{counted(len(loaded.errors), 'error')} in {where}", "runjobs check")
    else:
        first = fine("jobs", f"{counted(len(loaded.jobs), 'job')} in {where}")
    known = {job.name: job for job in loaded.jobs}
    subject = checkup.Subject(folder_at(Path(settings.state).absolute()), known, datetime.now(UTC), os.environ)
    return [first, *_env_files(loaded, settings), *checkup.examine(subject)]


def _env_files(loaded: Loaded, settings: Settings) -> Iterator[Finding]:
    """Env-files that a run would refuse, or that others can read; it is a note, as only their jobs need them."""
    from runjobs.runner.equip import doubts

    for job, doubt in doubts(loaded.jobs, trust=settings.trust_jobs):
        yield note("jobs", f"{job.name}: {doubt.message}", doubt.hint)


def say(findings: Sequence[Finding]) -> None:
    """Print a line for each finding, with the way out below it, and the sum."""
    screen = screen_of(sys.stdout)
    for finding in findings:
        print(_line(finding, screen))
        if finding.hint:
            print(f"{' ' * (AREA + _widest(screen) + 4)}try: {printable(finding.hint)}")
    counts = [
        (sum(finding.level is level for finding in findings), level.value) for level in (Level.PROBLEM, Level.NOTE)
    ]
    print(", ".join(counted(number, noun) for number, noun in counts))


def _line(finding: Finding, screen: Screen) -> str:
    level = screen.paint(told(finding.level.value, screen).ljust(_widest(screen)), COLORS[finding.level])
    return f"{finding.area.ljust(AREA)}  {level}  {printable(finding.message)}"


def _widest(screen: Screen) -> int:
    return max(len(told(level.value, screen)) for level in Level)
