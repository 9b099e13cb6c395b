"""What became of a fire, told as a story: when it was due, who claimed it, each of its runs; or why there was none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.answers import OVERDUE
from runjobs.core.duration import format_duration
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.outcome import SUPERSEDED
from runjobs.core.pausing import detail_of as detail_of_pause
from runjobs.core.plan import start_of
from runjobs.core.schedule import CronSchedule, OnceSchedule
from runjobs.core.why import Case
from runjobs.render.entries import entry_json, run_time, waiting
from runjobs.render.glyphs import color_of, told
from runjobs.render.prose import prose
from runjobs.render.text import counted, printable
from runjobs.render.times import clock, instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, tzinfo

    from runjobs.core.answers import Attempt, Entry
    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause
    from runjobs.core.why import Ruling, Window
    from runjobs.render.screen import Screen

MOST: Final = 5  # fires told of in full
INDENT: Final = "  "
RUNNERS: Final = {
    "foreground": "the foreground runner",
    "pass": "a pass of `runjobs run`",
    "call": "a person's `runjobs run JOB`",
}
TRIGGERS: Final = {
    "schedule": "was due",
    "reboot": "was due at the boot of",
    "manual": "was asked for by a person at",
    "once": "was planned for",
    "watch": "was due to changes noticed at",
}
UNTIMED: Final = frozenset({"reboot", "watch"})  # what no time of a schedule makes due
REASONS: Final = {
    "down": "no runner was there in time",
    "late": "its runner came too late",
    "superseded": SUPERSEDED,
    "suspended": "the machine was suspended",
    "overlap": "a lock that it needs was held",
    "paused": "the job was paused",
    "pool": "no place in its pool became free in time",
    "dependency": "a job that it comes after did not end well",
}


class Findings(NamedTuple):
    """All that is known of a job at a time.

    `job` is None where only the record knows it. Without a time asked about, `asked` and `ruling` are None, and the
    entry is the one that goes on, or the newest. `alive` says of runs without an end, and of runners by their id,
    whether they live.
    """

    now: datetime
    name: str
    job: Job | None
    asked: Window | None
    ruling: Ruling | None
    case: Case
    entries: list[Entry]
    around: tuple[Entry | None, Entry | None]
    mark: Mark | None
    oldest: Entry | None
    pause: Pause | None
    alive: dict[str, bool]
    is_watched: bool
    tail: bytes


def tell(found: Findings, zone: tzinfo | None, screen: Screen) -> str:
    """Return the answer as lines of text: the job, its fires of that time, and what else there is to say."""
    lines = [prose(_title(found, zone), screen, color="bold")]
    for entry in found.entries[:MOST]:
        lines += ["", *_story(found, entry, zone, screen)]
    if len(found.entries) > MOST:
        lines += ["", f"{INDENT}and {counted(len(found.entries) - MOST, 'fire')} more in that time"]
    if found.tail:
        lines += ["", f"{INDENT}its output ended so:", *_quoted(found.tail, screen)]
    remarks = [*_remarks(found, zone)]
    if remarks:
        lines += ["", *(prose(remark, screen, indent=INDENT) for remark in remarks)]
    if command := _way_on(found, zone):
        lines += ["", prose(f"try: {command}", screen, indent=INDENT)]
    return "\n".join(lines)


def _title(found: Findings, zone: tzinfo | None) -> str:
    job = found.job
    what = "in no jobs file any more" if not found.name.startswith(ONCE_PREFIX) else "planned by runjobs at, and over"
    if job is not None:
        place = job.source if isinstance(job.schedule, OnceSchedule) else f"{job.source}:{job.line}"
        what = f"{job.schedule.expression}, {place}"
    if found.asked is None:
        return f"{found.name} ({what})"
    there = ""
    if job is not None and isinstance(job.schedule, CronSchedule) and job.schedule.tz:
        local = found.asked.start.astimezone(job.schedule.zone.tz)
        there = f", {local:%a %H:%M} in {job.schedule.tz}"
    return f"{found.name} ({what}) at {instant(found.asked.start, zone)}{there}"


def _story(found: Findings, entry: Entry, zone: tzinfo | None, screen: Screen) -> list[str]:
    """A fire from its claim to its end, an event on each line."""
    color = (color_of(entry.outcome) or "red") if entry.has_ended else "bold"
    lines = [prose(_headline(entry, zone, screen), screen, indent=INDENT, color=color)]
    for when, said in _events(found, entry, zone):
        stamp = _stamp(when, entry.scheduled_at, zone) if when is not None else ""
        lines.append(prose(f"{stamp:<8}  {said}", screen, indent=INDENT * 2))
    return lines


def _headline(entry: Entry, zone: tzinfo | None, screen: Screen) -> str:
    first, last = (instant(when, zone) for when in (entry.scheduled_at, entry.last_at))
    if entry.is_stretch:
        many = counted(entry.number, "fire") if entry.number else "many fires"
        return f"{many} were due from {first} to {last}: {told(entry.outcome, screen)}, {_because(entry)}"
    due = f"{TRIGGERS.get(entry.trigger, 'was due')} {first}"
    if entry.state == "waiting":
        return f"{due} and waits {waiting(entry, zone)}"
    if not entry.has_ended:
        return f"{due} and is {entry.state}"
    return f"{due}: {told(entry.outcome, screen)}" + (f", {_because(entry)}" if entry.reason or entry.detail else "")


def _because(entry: Entry) -> str:
    """Why it ended so: what the reason means, and the detail."""
    meaning = REASONS.get(entry.reason, "")
    return ": ".join(filter(None, dict.fromkeys((meaning, entry.detail)))) or entry.reason


def _events(found: Findings, entry: Entry, zone: tzinfo | None) -> Iterator[tuple[datetime | None, str]]:
    if entry.claimed_at is not None and entry.runner:
        is_alive = found.alive.get(entry.runner, False)
        yield entry.claimed_at, f"claimed by {_runner(entry.runner)}, which {'is alive' if is_alive else 'has ended'}"
    for run in entry.runs:
        yield from _of_run(found, run)
    if entry.ended_at is not None and not entry.runs:
        yield entry.ended_at, "written down"
    if entry.state == "waiting" and entry.waiting_since is not None:
        yield entry.waiting_since, f"waits {waiting(entry, zone)}"


def _of_run(found: Findings, run: Attempt) -> Iterator[tuple[datetime | None, str]]:
    name = f"run {run.number}"
    pid = f", pid {run.pid}" if run.pid is not None else ""
    yield run.started_at, f"{name} ({run.run_id}) {'started' if run.started_at else 'never started'}{pid}"
    if run.ended_at is not None:
        detail = f": {run.detail}" if run.detail else ""
        yield run.ended_at, f"{name} ended, {run.outcome}{detail}{_after(run, found.now)}"
    elif found.alive.get(run.run_id):
        yield found.now, f"{name} goes on, {run_time(run, found.now)} by now"
    else:
        yield None, f"{name} has no end on record, and nobody watches over it: the next pass settles it"


def _after(run: Attempt, now: datetime) -> str:
    took = run_time(run, now)
    return f", after {took}" if took else ""


def _runner(name: str) -> str:
    kind, _, rest = name.partition("-")
    pid = rest.partition("-")[0]
    return f"{RUNNERS.get(kind, kind)}, pid {pid}" if pid else name


def _stamp(when: datetime, scheduled: datetime, zone: tzinfo | None) -> str:
    """The time of day, and the date where it is another than that of the fire."""
    local = when.astimezone(zone)
    is_same = local.date() == scheduled.astimezone(zone).date()
    return f"{local:%H:%M:%S}" if is_same else f"{local:%Y-%m-%d %H:%M:%S}"


def _quoted(tail: bytes, screen: Screen) -> list[str]:
    lines = tail.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n")
    return [screen.paint(f"{INDENT * 2}| {printable(line)}".rstrip(), "dim") for line in lines]


def _remarks(found: Findings, zone: tzinfo | None) -> Iterator[str]:
    """What is to be said where the record alone does not answer."""
    ruling, job = found.ruling, found.job
    if ruling is not None and job is not None:
        yield from _of_case(found, job, ruling, zone)
        yield from ruling.clock
    elif not found.entries:
        yield "nothing of that time is on record" if found.asked else "nothing of this job is on record yet"
    if found.pause is not None:
        yield f"it is {detail_of_pause(found.pause)}"


def _of_case(found: Findings, job: Job, ruling: Ruling, zone: tzinfo | None) -> Iterator[str]:
    match found.case:
        case Case.RECORDED:
            if not ruling.due and not any(entry.is_stretch or entry.trigger in UNTIMED for entry in found.entries):
                yield "by the schedule that it has now it would not have been due then"
        case Case.NOT_DUE:
            yield from _not_due(found, ruling, zone)
        case Case.FUTURE:
            start = start_of(job, ruling.due[0])
            late = f", and starts {clock(start, zone)} by its jitter" if start != ruling.due[0] else ""
            yield f"it will be due {instant(ruling.due[0], zone)}{late}"
        case Case.UNWATCHED if found.is_watched and found.now - start_of(job, ruling.due[0]) <= OVERDUE:
            yield f"it is due just now, {instant(ruling.due[0], zone)}"
        case _:
            yield _unrecorded(found, job, zone)


def _not_due(found: Findings, ruling: Ruling, zone: tzinfo | None) -> Iterator[str]:
    is_past = found.asked is None or found.asked.start <= found.now
    yield f"it {'was' if is_past else 'will'} not {'' if is_past else 'be '}due then: {'; '.join(ruling.reasons)}"
    before, after = ruling.before, ruling.after
    if before is None and after is None:
        recorded_before, recorded_after = found.around
        before = recorded_before.scheduled_at if recorded_before else None
        after = recorded_after.scheduled_at if recorded_after else None
    near = [f"{word} {instant(when, zone)}" for word, when in (("before", before), ("after", after)) if when]
    yield f"the nearest fires: {', '.join(near)}" if near else "there is no fire before it, nor after"


def _unrecorded(found: Findings, job: Job, zone: tzinfo | None) -> str:
    begins = f"begins {clock(found.oldest.scheduled_at, zone)}" if found.oldest else "is empty"
    mark = clock(found.mark.watermark, zone) if found.mark else ""
    match found.case:
        case Case.DISABLED:
            return "it would have been due, but it is disabled: enabled=no"
        case Case.UNSEEN:
            return "it was due, but no runner has ever looked at this job"
        case Case.CHANGED:
            return "it was due, but no runner has looked at this job since its schedule was changed"
        case Case.UNWATCHED:
            return f"it was due, but no runner has looked at this job since {mark}"
        case Case.UNKNOWN:
            return f"runjobs did not know this job then: its record {begins}, and nothing of it was deleted"
        case Case.DELETED:
            kept = f"history={job.options.history}"
            if job.options.history_for is not None:
                kept += f" and history-for={format_duration(job.options.history_for)}"
            return f"what became of it is not kept any more: the record {begins}, by {kept}"
    return (
        "by the schedule that it has now it was due then, but nothing is on record: it was disabled,"
        " missing from the jobs files, or had another schedule"
    )


def _way_on(found: Findings, zone: tzinfo | None) -> str:
    """The command that shows more."""
    runs = [run for entry in found.entries for run in entry.runs]
    if runs:
        return f"runjobs logs {runs[-1].run_id}"
    if found.case is Case.NOT_DUE and found.ruling is not None and found.ruling.before is not None:
        return f'runjobs why {found.name} --at "{clock(found.ruling.before, zone)}"'
    if found.case in {Case.UNSEEN, Case.CHANGED, Case.UNWATCHED} and not found.is_watched:
        return "runjobs run --foreground, or in a crontab: * * * * * runjobs run"
    return f"runjobs history {found.name}" if found.oldest is not None else ""


def as_json(found: Findings) -> dict[str, object]:
    """Return all of it for machines."""
    ruling = found.ruling
    return {
        "now": found.now,
        "job": found.name,
        "schedule": found.job.schedule.expression if found.job else None,
        "asked": found.asked.start if found.asked else None,
        "case": found.case,
        "due": ruling.due if ruling else None,
        "reasons": ruling.reasons if ruling else None,
        "clock": ruling.clock if ruling else None,
        "before": ruling.before if ruling else None,
        "after": ruling.after if ruling else None,
        "record_begins": found.oldest.scheduled_at if found.oldest else None,
        "accounted_until": found.mark.watermark if found.mark else None,
        "paused": found.pause._asdict() if found.pause else None,
        "fires": [
            entry_json(entry) | {"runner_alive": found.alive.get(entry.runner, False)} for entry in found.entries
        ],
        "running": [run for run, lives in found.alive.items() if lives and _is_run(found, run)],
        "tail": found.tail.decode("utf-8", "backslashreplace"),
    }


def _is_run(found: Findings, name: str) -> bool:
    return any(run.run_id == name for entry in found.entries for run in entry.runs)
