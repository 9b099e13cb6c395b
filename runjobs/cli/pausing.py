"""`runjobs pause` and `runjobs resume`: jobs that fire no more for a while, and that fire again."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from runjobs.cli import asking, options
from runjobs.cli.errors import WordError
from runjobs.cli.person import Reason, one_line, who
from runjobs.cli.streams import complain
from runjobs.core.errors import FieldError, UsageError
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.pausing import Pause, detail_of
from runjobs.render.text import printable
from runjobs.render.times import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import tzinfo

    from runjobs.adapters.ledger import Ledger
    from runjobs.settings import Settings

RESUMED: Final = "resumed:"  # the key of the fact that says who has resumed a job; its name follows

Names = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="These jobs.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All jobs.")]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="For how long: 90s, 2h, 1d.  [no end]")]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help='Until when: "tomorrow 7:30", ISO 8601.')]


def pause(
    names: Names = None,
    for_: For = None,
    until: Until = None,
    reason: Reason = "",
    all_: All = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    as_json: options.Json = False,
) -> None:
    """Pause jobs: their fires are recorded as skipped (paused), until a time or until they are resumed.

    A run that goes on is not stopped, and `runjobs run JOB` still runs the job. A pause takes the place of the one
    before.

    \b
    runjobs pause backup --for 2h --reason "the disk is being replaced"
    runjobs pause --all --until "tomorrow 7:30"
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    from runjobs.adapters.clock import now

    since = now()
    end = end_of(since, for_, until, settings)
    chosen = _named(settings, names, (), all_=all_)
    with ExitStack() as stack:
        ledger = open_ledger(settings, stack)
        pauses = [Pause(job, since, end, one_line(reason), who()) for job in chosen]
        for each in pauses:
            ledger.pause(each)
    show(
        "paused",
        [each._asdict() for each in pauses],
        [paused(each, settings.local) for each in pauses],
        as_json=as_json,
    )


def resume(
    names: Names = None,
    reason: Reason = "",
    all_: All = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    as_json: options.Json = False,
) -> None:
    """Let paused jobs fire again, from now on; what was skipped meanwhile stays skipped.

    \b
    runjobs resume backup
    runjobs resume --all --reason "the disk is replaced"
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with ExitStack() as stack:
        ledger = open_ledger(settings, stack)
        pauses = ledger.pauses()
        chosen = list(pauses) if all_ and not names else _named(settings, names, pauses, all_=all_)
        found = [_resume(ledger, job, pauses.get(job), one_line(reason)) for job in chosen]
    lines = [resumed(each, settings.local) for each in found]
    show("resumed", [each._asdict() for each in found], lines or ["no job is paused"], as_json=as_json)


class Resumed(NamedTuple):
    """What came of a resume: `was` is the pause that it has ended (None: the job was not paused)."""

    job: str
    at: datetime
    who: str
    reason: str
    was: Pause | None


def _resume(ledger: Ledger, job: str, pause: Pause | None, reason: str) -> Resumed:
    """End the pause of a job, and keep who has done so; one that had run out already was none."""
    from runjobs.adapters.clock import now

    at = now()
    ended = pause if ledger.resume(job) and pause is not None and pause.holds(at) else None
    done = Resumed(job, at, who(), reason, ended)
    if ended is not None:
        facts = {"at": at.isoformat(), "who": done.who, "reason": reason, "paused": detail_of(ended)}
        ledger.remember(RESUMED + job, json.dumps(facts))
    return done


def resumed(done: Resumed, zone: tzinfo | None) -> str:
    """Say it: what was ended, or that there was nothing to end."""
    name = printable(done.job)
    if done.was is None:
        return f"{name} was not paused"
    why = f": {printable(done.was.reason)}" if done.was.reason else ""
    return f"{name} fires again; {printable(done.was.who)} had paused it since {instant(done.was.since, zone)}{why}"


def paused(pause: Pause, zone: tzinfo | None) -> str:
    """Say it: until when, and what that means."""
    until = f"until {instant(pause.until, zone)}" if pause.until is not None else "until it is resumed"
    return f"{printable(pause.job)} is paused {until}; its fires are recorded as skipped (paused)"


def show(kind: str, found: Sequence[dict[str, object]], lines: Sequence[str], *, as_json: bool) -> None:
    """Print what was done, for machines or for people."""
    if as_json:
        from runjobs.render.json import to_json

        print(to_json({kind: [_plain(each) for each in found]}))
    else:
        print("\n".join(lines))


def _plain(facts: dict[str, object]) -> dict[str, object]:
    return {key: value._asdict() if isinstance(value, Pause) else value for key, value in facts.items()}


def end_of(since: datetime, duration: str | None, until: str | None, settings: Settings) -> datetime | None:
    """When a pause ends; None: when somebody resumes it. What can't be read is a WordError."""
    from datetime import UTC, timedelta

    from runjobs.core.duration import parse_duration
    from runjobs.core.when import parse_when

    if duration is not None and until is not None:
        raise UsageError("--for and --until both say when the pause ends", "leave out one of them")
    option, text = ("--for", duration) if duration is not None else ("--until", until)
    if text is None:
        return None
    try:
        end = since + parse_duration(text) if duration is not None else parse_when(text, since, settings.local or UTC)
    except FieldError as error:
        raise WordError(option, text, error) from error
    except OverflowError:
        raise UsageError(
            f"{option} {text} is beyond any calendar", "leave it out: the pause lasts until resume"
        ) from None
    if end - since < timedelta(seconds=1):
        raise UsageError(f"{option} {text} is no time to pause", '--for 2h, or --until "tomorrow 7:30"')
    return end


def _named(settings: Settings, names: Sequence[str] | None, known: Collection[str], *, all_: bool) -> list[str]:
    """The jobs that are meant; `known` names count though no file has them. A UsageError where there are none."""
    if names and all_:
        raise UsageError("--all means every job, so it takes no JOB", "leave out one of them")
    if not names and not all_:
        raise UsageError("no job is named", "name the jobs, or --all")
    rest = [name for name in names or () if name not in known]
    for name in rest:
        if name.startswith(ONCE_PREFIX):
            message = f"{printable(name)} is to run once: it can't be paused"
            raise UsageError(message, f"runjobs at --remove {printable(name)}")
    if names and not rest:
        return list(dict.fromkeys(names))
    found = [job.name for job in asking.jobs(settings, rest or None)]
    return list(dict.fromkeys([*(names or ()), *found]))


def open_ledger(settings: Settings, stack: ExitStack) -> Ledger:
    """Open the ledger, which is closed when the stack is. LedgerError where it can't be used."""
    from runjobs.wiring import open_state

    _, ledger = open_state(settings, complain)
    stack.callback(ledger.close)
    return ledger
