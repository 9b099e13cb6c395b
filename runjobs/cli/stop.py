"""`runjobs stop`: runs are ended, whoever started them, and fires that wait for their turn too."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from runjobs.cli import options
from runjobs.cli.person import Reason, detail
from runjobs.cli.streams import complain
from runjobs.core.errors import UsageError
from runjobs.core.job import Options
from runjobs.core.nearest import nearest_word
from runjobs.core.outcome import Outcome
from runjobs.render.text import printable
from runjobs.render.times import distance
from runjobs.render.waitline import WaitLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.answers import Attempt
    from runjobs.core.fire import Waiting
    from runjobs.runner.control import Going, Stopping
    from runjobs.settings import Settings

NOT_STOPPED: Final = 1
AFTER_KILL: Final = 5.0  # seconds after KILL: a guard calls what it can't kill stuck after half of them
LOOK: Final = 0.1  # seconds between two looks

Targets = Annotated[list[str], typer.Argument(metavar="JOB|RUN", help="Jobs, or runs by their ids.")]
Now = Annotated[bool, typer.Option("--now", help="Kill at once, without TERM and kill-after.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Give the order, and don't wait for the end.")]


class Record(NamedTuple):
    """Where it stands what goes on: the lock files, and the ledger where it can be used."""

    state: StateFolder
    ledger: Ledger | None


class Chosen(NamedTuple):
    """What the words of the command line mean: runs that go on, fires that wait, and jobs with neither."""

    runs: Sequence[Going]
    waiting: Sequence[Waiting]
    idle: Sequence[str]


def stop(
    targets: Targets,
    reason: Reason = "",
    now: Now = False,
    no_wait: NoWait = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> int:
    """Stop runs: TERM to all that belongs to them, KILL after the job's kill-after, and wait for their end.

    It works on every run of this state folder, whoever started it. A fire of the job that waits for its turn, or to
    be tried again, is stopped too; the schedule goes on. Called once more for the same run, it kills.

    \b
    runjobs stop backup --reason "the disk is needed"
    runjobs stop 3574rvws8az --now
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with ExitStack() as stack:
        call = _Call(settings, stack, detail("stopped", reason), kill_after=0.0 if now else None)
        told = call.carry_out(targets, wait=not no_wait)
    if json:
        from runjobs.render.json import to_json

        print(to_json(told))
    else:
        print("\n".join(call.lines))
    return call.code


class _Call:
    """One call: what it found, what came of it, and the lines that say so."""

    def __init__(self, settings: Settings, stack: ExitStack, why: str, *, kill_after: float | None) -> None:
        from runjobs.wiring import load_jobs

        self.known = {job.name: job.options for job in load_jobs(settings).jobs}
        self.record = open_record(settings, stack)
        self.why = why
        self.kill_after = kill_after
        self.lines: list[str] = []
        self.code = 0

    def carry_out(self, words: Sequence[str], *, wait: bool) -> dict[str, object]:
        """Stop what the words mean; what came of it, for machines."""
        from runjobs.guard import Stop
        from runjobs.runner.control import Stopping

        chosen = choose(words, self.known, self.record)
        self.lines += [f"{printable(job)}: nothing to stop" for job in chosen.idle]
        stop = Stop(self.kill_after, Outcome.STOPPED.value, "person", self.why)
        stopping = Stopping(self.record.ledger, self.record.state.locks, chosen.runs, stop)
        cancelled = self._cancel(chosen.waiting)
        if wait:
            self._wait(stopping)
            cancelled += self._cancel(self._waiting_again(chosen))
        runs = [self._tell(run, stopping, waited=wait) for run in chosen.runs]
        return {"runs": runs, "cancelled": cancelled, "idle": list(chosen.idle)}

    def _cancel(self, waiting: Iterable[Waiting]) -> list[dict[str, object]]:
        cancelled: list[dict[str, object]] = []
        for one in waiting:
            due = one.fire.scheduled_at.isoformat(sep=" ", timespec="seconds")
            what = f"{printable(one.fire.job)}: its fire of {due}"
            if self._is_cancelled(one):
                cancelled.append({"job": one.fire.job, "scheduled_at": one.fire.scheduled_at, "wait": one.wait})
                self.lines.append(f"{what} waits no more ({one.wait.value})")
        return cancelled

    def _is_cancelled(self, one: Waiting) -> bool:
        from runjobs.adapters.clock import now
        from runjobs.adapters.ledger import LedgerError, Skip

        skip = Skip(one.fire_id, Outcome.STOPPED.value, "person", self.why)
        try:
            return self.record.ledger is not None and self.record.ledger.cancel(skip, now())
        except LedgerError as error:
            self.code = NOT_STOPPED
            complain(f"runjobs: {printable(one.fire.job)} waits on: {printable(error.message)}")
            return False

    def _waiting_again(self, chosen: Chosen) -> list[Waiting]:
        """What the runs that we stopped left waiting: one that failed just before our order may be up for a retry."""
        fires = {(run.job, run.scheduled_ms) for run in chosen.runs}
        return [one for one in waiting_in(self.record.ledger) if (one.fire.job, due_ms(one)) in fires]

    def _wait(self, stopping: Stopping) -> None:
        with WaitLine() as line:
            while stopping.left and stopping.seconds < self._longest(stopping.left) + AFTER_KILL:
                line.say("; ".join(self._pending(run, stopping.seconds) for run in stopping.left))
                time.sleep(LOOK)
                stopping.look()

    def _longest(self, runs: Iterable[Going]) -> float:
        return max(self._kill_after(run) for run in runs)

    def _kill_after(self, run: Going) -> float:
        own = self.known.get(run.job, Options()).kill_after.total_seconds()
        return own if self.kill_after is None else self.kill_after

    def _pending(self, run: Going, seconds: float) -> str:
        left = self._kill_after(run) - seconds
        then = f"KILL in {distance(timedelta(seconds=left + 0.99))}" if left > 0 else "killed"
        return f"waiting for {run.job} (run {run.run_id}) to end: {then}"

    def _tell(self, run: Going, stopping: Stopping, *, waited: bool) -> dict[str, object]:
        """Say how a run ended, or that it goes on."""
        goes_on = run in stopping.left
        end = None if goes_on else ended(self.record, run.run_id)
        name = f"{printable(run.job)} (run {run.run_id})"
        if end is not None:
            told = end.detail if end.detail.startswith(end.outcome) else f"{end.outcome} {end.detail}".strip()
            self.lines.append(f"{name}: {printable(told)}")
        elif not goes_on:
            self.lines.append(f"{name}: it has ended; how, is not in the ledger yet")
        elif not waited:
            self.lines.append(f"{name}: told to stop")
        else:
            self.code = NOT_STOPPED
            complain(f"runjobs: {name} goes on: some of it can't be killed, or its guard can't act; it goes on trying")
            complain("  try: ps -eo pid,stat,wchan:20,args shows what is in state D, and what it waits for")
        facts = {} if end is None else {"outcome": end.outcome, "reason": end.reason, "detail": end.detail}
        return {"job": run.job, "run": run.run_id, "ended": not goes_on, **facts}


def open_record(settings: Settings, stack: ExitStack) -> Record:
    """Open what says who goes on. Where no state folder is, none is made; a ledger that can't be used is told of."""
    from runjobs.adapters.ledger import LedgerError
    from runjobs.adapters.statefolder import folder_at
    from runjobs.wiring import open_state

    state = folder_at(Path(settings.state).absolute())
    if not os.path.isdir(state.root):
        return Record(state, None)
    try:
        folder, ledger = open_state(settings, complain)
    except LedgerError as error:
        complain(f"runjobs: {printable(error.message)}; the lock files say what runs")
        return Record(state, None)
    stack.callback(ledger.close)
    return Record(folder, ledger)


def waiting_in(ledger: Ledger | None) -> list[Waiting]:
    """What waits, as far as that can be asked."""
    from runjobs.adapters.ledger import LedgerError

    try:
        return ledger.waiting() if ledger is not None else []
    except LedgerError:
        return []  # its next words will say so


def due_ms(waiting: Waiting) -> int:
    """When a waiting fire was due, as runs have it."""
    from runjobs.core.fire import milliseconds

    return milliseconds(waiting.fire.scheduled_at)


def choose(words: Sequence[str], known: Iterable[str], record: Record) -> Chosen:
    """Return what the words mean. A word that is neither a job nor a run that goes on is a UsageError."""
    from runjobs.runner.control import going

    ledger = record.ledger
    runs = going(ledger.unended() if ledger is not None else (), record.state.locks)
    waiting = waiting_in(ledger)
    jobs = {*known, *(run.job for run in runs), *(one.fire.job for one in waiting)}
    chosen: dict[str, Going] = {}
    named = [word for word in words if word in jobs]
    for word in words:
        found = [run for run in runs if run.job == word] if word in jobs else [_run_of(word, runs, jobs)]
        chosen |= {run.run_id: run for run in found}
    waits = [one for one in waiting if one.fire.job in named]
    busy = {run.job for run in chosen.values()} | {one.fire.job for one in waits}
    return Chosen(list(chosen.values()), waits, [word for word in dict.fromkeys(named) if word not in busy])


def _run_of(word: str, runs: Sequence[Going], jobs: Iterable[str]) -> Going:
    """The run whose id begins so."""
    found = [run for run in runs if run.run_id.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{word} is the beginning of several runs", ", ".join(run.run_id for run in found))
    near = nearest_word(word, jobs)
    hint = f"runjobs stop {near}" if near else "runjobs locks shows what runs, runjobs list the jobs"
    raise UsageError(f"no job is named {word}, and no run that goes on has an id that begins so", hint)


def ended(record: Record, run_id: str) -> Attempt | None:
    """How a run ended, if that is on record."""
    from runjobs.adapters.ledger import LedgerError
    from runjobs.adapters.ledger.reading import open_reader

    try:
        reader = open_reader(record.state.ledger, announce=complain)
        try:
            entry = reader.run(run_id)
        finally:
            reader.close()
    except LedgerError:
        return None  # it was told of already
    return entry.runs[0] if entry is not None and entry.runs and entry.runs[0].outcome else None
