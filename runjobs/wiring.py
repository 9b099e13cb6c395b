"""Settings become jobs, a state folder, a ledger and a runner: the one place that knows which adapter serves."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runjobs.adapters import clock
from runjobs.adapters.lastgood import LastGood
from runjobs.runner.loading import Parser, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.runner.engine import Engine, Manner, Report
    from runjobs.runner.loading import Loaded
    from runjobs.settings import Settings


def jobs_source(settings: Settings, *, is_strict: bool = False) -> Source:
    """Where the jobs come from: the jobs files, and the last good versions of them in the state folder."""
    copies = LastGood(Path(settings.state).absolute())
    parser = Parser(settings.local, user_column=settings.user_column)
    return Source(settings.jobs, copies, parser, trust=settings.trust_jobs, is_strict=is_strict)


def load_jobs(settings: Settings) -> Loaded:
    """The jobs in force, for who only asks: files are read as they are now; nothing is raised, or written."""
    source = jobs_source(settings)
    return source.load(source.read())


def open_state(settings: Settings, announce: Callable[[str], None]) -> tuple[StateFolder, Ledger]:
    """Prepare the state folder and open its ledger. RunjobsError, LedgerError when they can't be used."""
    from runjobs.adapters import statefolder
    from runjobs.adapters.ledger.sqlite import open_ledger

    folder = statefolder.prepare(Path(settings.state).absolute(), os.environ, announce)
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

    folder = statefolder.prepare(Path(settings.state).absolute(), os.environ, announce)
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
