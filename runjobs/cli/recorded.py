"""What the commands that answer from the record have in common: the jobs, the ledger read-only, who runs the jobs."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from runjobs.cli import asking, streams
from runjobs.cli.errors import WordError
from runjobs.core.answers import parse_past
from runjobs.core.errors import FieldError, UsageError
from runjobs.core.nearest import nearest_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from runjobs.adapters.ledger.reading import Reader
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.answers import Attempt
    from runjobs.core.errors import Problem
    from runjobs.core.job import Job
    from runjobs.settings import Settings

Value = TypeVar("Value")

Names = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Only these jobs.", show_default=False)]


class RunnerSeen(NamedTuple):
    """A runner that is alive: its kind (foreground, pass, call), its pid, and since when."""

    id: str
    kind: str
    pid: int | None
    since: datetime | None


class Recorded(NamedTuple):
    """The jobs of the jobs files by their names, the ledger, and the state folder that it is in."""

    jobs: dict[str, Job]
    reader: Reader
    state: StateFolder

    def named(self, words: Sequence[str]) -> list[str]:
        """The jobs of these names, those too that are on record only; an unknown one is a UsageError."""
        return [self._named(word) for word in dict.fromkeys(words)]

    def _named(self, word: str) -> str:
        if word in self.jobs or word in (known := self.reader.jobs()):
            return word
        near = nearest_word(word, [*self.jobs, *known])
        raise UsageError(f"no job is named {word}, nor was any on record", near or "runjobs list")

    def runners(self) -> list[RunnerSeen]:
        """The runners that are alive, of this state folder."""
        from runjobs.adapters import locks

        try:
            return [_runner(seen.record) for seen in locks.survey(self.state.locks, "runner") if seen.is_held]
        except OSError:
            return []  # no such folder, or closed to us

    def log_of(self, run: Attempt) -> str:
        """Where a run's log is now: a state folder may have been moved, so of what is stored two names count."""
        folder, name = os.path.split(run.log)
        return str(self.state.logs / os.path.basename(folder) / name)

    def is_alive(self, run: Attempt) -> bool:
        """Whether a run without an end went on when it was looked up: while it does, its guard holds its lock.

        One that has ended between that look and this one is no dead one: an end is on record before its lock is free.
        """
        from runjobs.adapters import locks

        if locks.is_held(self.state.locks / os.path.basename(run.lock)):
            return True
        now = self.reader.run(run.run_id)
        return now is not None and now.runs[0].ended_at is not None


@contextlib.contextmanager
def opened(
    settings: Settings,
    mention: Callable[[Sequence[Problem]], object] = asking.mention,
    announce: Callable[[str], None] = streams.complain,
) -> Iterator[Recorded]:
    """The record of these settings; what is wrong with jobs files is said aside. LedgerError where it can't be read."""
    from runjobs.adapters.ledger.reading import open_reader
    from runjobs.adapters.statefolder import folder_at
    from runjobs.wiring import load_jobs

    loaded = load_jobs(settings)
    mention(loaded.errors)
    state = folder_at(Path(settings.state).absolute())
    reader = open_reader(state.ledger, announce=announce)
    try:
        yield Recorded({job.name: job for job in loaded.jobs} | _planned(reader), reader, state)
    finally:
        reader.close()


def _planned(reader: Reader) -> dict[str, Job]:
    """What `runjobs at` has planned, as jobs."""
    onces = reader.onces()
    if not onces:
        return {}
    from runjobs.core.once import jobs_of

    return jobs_of(onces, os.geteuid())


def read_option(option: str, text: str, reading: Callable[[], Value]) -> Value:
    """Read the text of an option; what can't be read is a WordError that shows where in it."""
    try:
        return reading()
    except FieldError as error:
        raise WordError(option, text, error) from error


def read_instant(option: str, text: str | None, now: datetime, zone: tzinfo | None) -> datetime | None:
    """Read an instant as people write it of what has been, in their zone; None where none is asked for."""
    if text is None:
        return None
    return read_option(option, text, lambda: parse_past(text, now, zone or UTC))


def alive(recorded: Recorded, runs: Iterable[Attempt]) -> dict[str, bool]:
    """Of runs without an end, whether each goes on."""
    return {run.run_id: recorded.is_alive(run) for run in runs if run.ended_at is None}


def _runner(record: dict[str, object]) -> RunnerSeen:
    name, pid, since = record.get("runner"), record.get("pid"), record.get("since")
    known = str(name or "")
    return RunnerSeen(known, known.partition("-")[0], pid if isinstance(pid, int) else None, _instant(since))


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
