"""Settings become jobs, a state folder, a ledger and a runner: the one place that knows which adapter serves."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import clock, files
from runjobs.core.crontab import parse
from runjobs.core.errors import Severity
from runjobs.core.names import merge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runjobs.adapters.files import Folder, Skipped
    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.crontab import JobsFile
    from runjobs.core.errors import Problem
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine, Manner, Report
    from runjobs.settings import Settings


class Loaded(NamedTuple):
    """All that was found at the jobs paths: the jobs that can run, what is wrong, and what was passed over."""

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[JobsFile, ...]

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep something from running."""
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]


def read_jobs(settings: Settings) -> list[Folder]:
    """Read every jobs file. What is wrong with them is in the result; nothing is raised."""
    uid = os.geteuid()
    return [files.read_folder(path, trust=settings.trust_jobs, uid=uid) for path in settings.jobs]


def load_jobs(settings: Settings, folders: Sequence[Folder] | None = None) -> Loaded:
    """Parse every jobs file, of these folders or else as they are now; nothing is raised.

    `files` of the result are in the order of the folders' files.
    """
    folders = read_jobs(settings) if folders is None else folders
    parsed = tuple(
        parse(file.text, source=file.path, user_column=settings.user_column, local=settings.local)
        for folder in folders
        for file in folder.files
    )
    merged = merge(parsed)
    problems = (*(problem for folder in folders for problem in folder.problems), *merged.problems)
    skipped = tuple(skip for folder in folders for skip in folder.skipped)
    return Loaded(tuple(merged.jobs), problems, skipped, parsed)


def open_state(settings: Settings, announce: Callable[[str], None]) -> tuple[StateFolder, Ledger]:
    """Prepare the state folder and open its ledger. RunjobsError, LedgerError when they can't be used."""
    from runjobs.adapters import statefolder
    from runjobs.adapters.ledger.sqlite import open_ledger

    folder = statefolder.prepare(Path(settings.state).absolute(), os.environ)
    return folder, open_ledger(folder.ledger, announce=announce)


def open_enduring(
    settings: Settings, announce: Callable[[str], None], *, is_brief: bool = False
) -> tuple[StateFolder, Ledger]:
    """As `open_state`, for who runs jobs: a ledger that goes on when it can't be written.

    `is_brief`: what went wrong is told once a day, by whichever pass.
    """
    from runjobs.adapters import statefolder
    from runjobs.runner.alarm import Alarm
    from runjobs.runner.hardship import Enduring, Hands

    folder = statefolder.prepare(Path(settings.state).absolute(), os.environ)
    return folder, Enduring(Hands(folder, Alarm(folder.standin, announce, is_brief=is_brief)))


def engine_on(folder: StateFolder, ledger: Ledger, manner: Manner, report: Report) -> Engine:
    """A runner on an open ledger; who opened it closes it."""
    from runjobs.runner.engine import Engine

    return Engine(folder, ledger, manner, report)


@contextlib.contextmanager
def engine(settings: Settings, manner: Manner, report: Report, announce: Callable[[str], None]) -> Iterator[Engine]:
    """A runner with all that belongs to it. LedgerError where the ledger can't be used."""
    told = announce if manner.kind != "foreground" else partial(_warn, report)
    folder, ledger = open_enduring(settings, told)
    try:
        yield engine_on(folder, ledger, manner, report)
    finally:
        ledger.close()


def _warn(report: Report, text: str) -> None:
    """In the foreground trouble is an event."""
    from runjobs.core.event import Event, Happening

    report(Event(clock.now(), Happening.WARNING, facts={"message": text}))
