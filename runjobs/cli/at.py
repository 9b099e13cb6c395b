"""`runjobs at`: a command that runs once, at a time; what is planned, and taking it back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from runjobs.cli import options
from runjobs.cli.recorded import opened
from runjobs.cli.streams import complain
from runjobs.cli.wanted import read
from runjobs.core import once
from runjobs.core.errors import FieldError, UsageError
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.nearest import nearest_word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.once import Once, Planned
    from runjobs.settings import Settings

FOLLOW: Final = "runjobs run --foreground, or have the system's cron call `runjobs run` every minute"

Words = Annotated[
    list[str] | None, typer.Argument(metavar="WHEN [--] [COMMAND]...", help="When, and what.", show_default=False)
]
List = Annotated[bool, typer.Option("--list", "-l", help="Show what is planned.")]
Remove = Annotated[bool, typer.Option("--remove", "-r", help="Take back these: runjobs at --remove ID...")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Call it at/NAME.  [at/ and a number]")]
Timeout = Annotated[str | None, typer.Option("--timeout", metavar="DURATION", help="How long it may take.  [1d]")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of jobs, as in a #: line; may be given several times."),
]
Cwd = Annotated[str | None, typer.Option("--cwd", metavar="DIR", help="Where it runs.  [this folder]")]
Env = Annotated[
    str, typer.Option("--env", metavar="keep|clean", help="Its environment: this one, as at(1) keeps it, or cron's.")
]


def at(
    words: Words = None,
    list_: List = False,
    remove: Remove = False,
    name: Name = None,
    timeout: Timeout = None,
    set_: Set = None,
    cwd: Cwd = None,
    env: Env = "keep",
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Run a command once, at a time: by whichever runner is there then, or late by the first one that comes.

    One word is a command line for the shell; several are given to the command as they are. Without a command, or
    with -, the lines of standard input are run. It runs in this folder, with this environment and umask.

    \b
    runjobs at "in 10 minutes" -- 'make test > report 2>&1'
    runjobs at "tomorrow 7:30" --name report --set retries=2 -- report --all
    runjobs at --list
    runjobs at --remove at/12 at/report
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    asked = words or []
    if list_ and remove:
        raise UsageError("--list and --remove are two things", "leave out one of them")
    if list_:
        show(settings, asked, as_json=json)
    elif remove:
        take_back(settings, asked, as_json=json)
    else:
        chosen = [*(set_ or ()), *([f"timeout={timeout}"] if timeout is not None else ())]
        with ExitStack() as stack:
            plan(read(settings, asked, chosen, name, cwd, env), settings, stack, as_json=json)


def plan(wanted: Once, settings: Settings, stack: ExitStack, *, as_json: bool) -> None:
    """Keep it, have a foreground know of it at once, and say whether anybody is there to run it."""
    from runjobs.adapters import lockjournal
    from runjobs.runner.past import lock_path
    from runjobs.wiring import open_state

    folder, ledger = open_state(settings, complain)
    stack.callback(ledger.close)
    _check_after(wanted, settings)
    planned = ledger.plan_once(wanted)
    if planned is None:
        job = once.job_name(wanted.name, 0)
        raise UsageError(f"{job} is planned already, or has run at that very time", f"runjobs at --remove {job}")
    lockjournal.reserve(lock_path(folder, planned.job))  # so that it starts at most once on a full disk too
    is_followed = wake(folder) or _is_watched(settings)
    if as_json:
        from runjobs.render.json import to_json
        from runjobs.render.onces import Shown
        from runjobs.render.onces import as_json as facts

        print(to_json({"planned": facts(Shown(planned)), "watched": is_followed}))
    else:
        from runjobs.render.text import printable
        from runjobs.render.times import distance, instant

        away = distance(wanted.at - wanted.asked_at.replace(microsecond=0))
        when = "now" if away == "now" else f"in {away}"
        print(f"{printable(planned.job)} runs {instant(wanted.at, settings.local)}, {when}")
    if not is_followed:
        complain(f"runjobs: it is kept, but no runner is there on {folder.root}\n  try: {FOLLOW}")


def wake(folder: StateFolder) -> bool:
    """Have the foreground of this state folder look at once; whether there is one."""
    from runjobs.runner import presence

    with contextlib.suppress(OSError):  # there is none, or it is another user's: within a minute it looks by itself
        runner = presence.find_runner(folder.root / presence.NAME)
        if runner is not None:
            try:
                runner.send(signal.SIGUSR2)
            finally:
                os.close(runner.handle)
            return True
    return False


def show(settings: Settings, names: Sequence[str], *, as_json: bool) -> None:
    """Print what is planned, and what of it runs just now."""
    from runjobs.render import onces

    with opened(settings) as record:
        known = {planned.job: planned for planned in record.reader.onces()}
        states = {entry.job: entry.state for entry in record.reader.open_fires() if entry.trigger == "once"}
    chosen = [_job_of(name, known) for name in names] if names else list(known)
    shown = [onces.Shown(known[job], states.get(job, "planned"), _problem(known[job])) for job in chosen]
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({"onces": [onces.as_json(each) for each in shown]}))
    elif shown:
        from runjobs.render.screen import screen_of
        from runjobs.render.table import draw

        print(draw(onces.table(shown, datetime.now(UTC), settings.local), screen_of(sys.stdout)))
    else:
        complain(f"runjobs: nothing is planned in {settings.state}")


def take_back(settings: Settings, names: Sequence[str], *, as_json: bool) -> None:
    """Let go of what has not begun. UsageError for a name that is none, and for what runs, all others being done."""
    from runjobs.wiring import open_state

    if not names:
        raise UsageError("nothing is named that is to be removed", "runjobs at --list shows what is planned")
    with ExitStack() as stack:
        _, ledger = open_state(settings, complain)
        stack.callback(ledger.close)
        known = {planned.job: planned for planned in ledger.onces()}
        chosen = list(dict.fromkeys(_job_of(name, known) for name in names))
        removed = [job for job in chosen if ledger.remove_once(job)]
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({"removed": removed}))
    elif removed:
        print("\n".join(f"{job} is removed" for job in removed))
    if begun := [job for job in chosen if job not in removed]:
        raise UsageError(f"{', '.join(begun)} has begun, so it can't be removed", f"runjobs stop {begun[0]}")


def _job_of(name: str, known: dict[str, Planned]) -> str:
    job = name if name.startswith(ONCE_PREFIX) else f"{ONCE_PREFIX}{name}"
    if job in known:
        return job
    raise UsageError(f"nothing that is planned is called {job}", nearest_word(job, known) or "runjobs at --list")


def _problem(planned: Planned) -> str:
    try:
        once.job_of(planned, os.geteuid())
    except FieldError as error:
        return error.message
    return ""


def _check_after(wanted: Once, settings: Settings) -> None:
    """Jobs that it is to come after must be there: that one is gone would be told too late."""
    names = dict(wanted.settings).get("after", "")
    if names:
        from runjobs.cli import asking

        asking.jobs(settings, names.split(","))


def _is_watched(settings: Settings) -> bool:
    """Whether passes have looked at all jobs in time: a cron is there that calls them."""
    from runjobs.core.answers import overdue_since

    with opened(settings) as record:
        marks, now = record.reader.marks(), datetime.now(UTC)
        jobs = [record.jobs[name] for name in record.jobs if name in marks]
        return bool(jobs) and not any(overdue_since(job, marks[job.name], now) for job in jobs)
