"""Events as lines: one for people, or one JSON object for machines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runjobs.core.duration import format_duration
from runjobs.core.event import Event, Happening
from runjobs.render.glyphs import LOOKS, color_of, mark
from runjobs.render.reloads import said_of_reload
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.render.screen import Screen

MARKED = {
    Happening.STARTED: "running",
    Happening.ADOPTED: "running",
    Happening.RUNNING: "running",
    Happening.SKIPPED: "skipped",
    Happening.WAITING: "waiting",
    Happening.GIVEN_UP: "failed",
    Happening.MISSED: "missed",
    Happening.WARNING: "warning",
    Happening.STUCK: "warning",
    Happening.FILE_BAD: "warning",
}
UNUSUAL = frozenset(
    {
        *(Happening.WARNING, Happening.STUCK, Happening.SKIPPED, Happening.MISSED, Happening.GIVEN_UP),
        Happening.FILE_BAD,
    }
)


def json_line(event: Event) -> str:
    """One object on one line: time, event, job and run first, then the facts of the event."""
    import json

    named = {"time": event.time, "event": event.happening, "job": event.job, "run": event.run} | event.facts
    return json.dumps({key: _plain(value) for key, value in named.items() if value not in ("", None)})


def text_line(event: Event, zone: tzinfo | None, screen: Screen) -> str:
    """One line for people: the local time, the job, what happened."""
    clock = event.time.astimezone(zone).strftime("%H:%M:%S")
    said = f"{event.job}: {_said(event, zone)}" if event.job else _said(event, zone)
    line = f"{clock} {_mark(event, screen)}{printable(said)}"
    color = _color(event)
    return screen.paint(line, color) if color else line


def _said(event: Event, zone: tzinfo | None) -> str:
    facts = event.facts
    match event.happening:
        case Happening.STARTED:
            return f"started (run {event.run}, pid {facts['pid']})"
        case Happening.ADOPTED:
            return f"goes on (run {event.run}, pid {facts['pid']}), an earlier runner started it"
        case Happening.ENDED:
            return f"{'' if event.job else f'run {event.run}: '}{ended(facts, zone)}"
        case Happening.SKIPPED:
            return f"skipped, {facts['detail']}"
        case Happening.WAITING:
            return f"waits ({facts['reason']}): {facts['detail']}"
        case Happening.GIVEN_UP:
            return f"not tried again, {facts['detail']}"
        case Happening.STUCK:
            return f"can't be killed yet: {', '.join(f'{name} (pid {pid})' for pid, name in facts['processes'])}"
        case Happening.MISSED:
            return _missed(facts, zone)
        case Happening.RUNNING:
            return f"running for {format_seconds(facts['seconds'])} (run {event.run}, guard {facts['pid']})"
    return _said_of_runner(event, zone)


def _said_of_runner(event: Event, zone: tzinfo | None) -> str:
    facts = event.facts
    match event.happening:
        case Happening.RUNNER_STARTED:
            return f"runjobs follows {counted(facts['jobs'], 'job')} (pid {facts['pid']}, state in {facts['state']})"
        case Happening.RUNNER_STOPPING:
            return f"stopping, {counted(facts['running'], 'job')} running"
        case Happening.RUNNER_STOPPED:
            return "stopped" + (f", {counted(facts['left'], 'job')} left running" if facts["left"] else "")
        case Happening.RUNNER_STATUS:
            return f"{counted(facts['running'], 'job')} running, {counted(facts['jobs'], 'job')} followed"
        case Happening.CLOCK_SET:
            direction = "forward" if facts["seconds"] > 0 else "back"
            return f"the clock was set {direction} by {format_seconds(abs(facts['seconds']))}"
        case Happening.SUSPENDED:
            return f"the machine was suspended for {format_seconds(facts['seconds'])}"
        case Happening.WARNING:
            return f"warning: {facts['message']}"
    return said_of_reload(event, zone)


def ended(facts: dict[str, object], zone: tzinfo | None = None) -> str:
    """How a run ended, in words: `failed: exit code 3, after 2s`."""
    detail = f": {facts['detail']}" if facts["detail"] else ""
    seconds = facts["seconds"]
    after = f", after {format_seconds(seconds)}" if isinstance(seconds, float | int) else ""
    again = facts.get("again_at")
    retry = f"; it is tried again at {again.astimezone(zone):%H:%M:%S}" if isinstance(again, datetime) else ""
    return f"{facts['outcome']}{detail}{after}{retry}"


def format_seconds(seconds: float) -> str:
    """A measured time: tenths below a minute, whole seconds above."""
    if seconds < 59.95:  # noqa: PLR2004 (what would be rounded up to a minute is one)
        return f"{seconds:.1f}s"
    return format_duration(timedelta(seconds=round(seconds)))


def _missed(facts: dict[str, object], zone: tzinfo | None) -> str:
    first, last, count = facts["first"], facts["last"], facts["count"]
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return "missed"
    if first == last:
        return f"missed {first.astimezone(zone):%Y-%m-%d %H:%M:%S} ({facts['reason']})"
    many = counted(count, "fire") if isinstance(count, int) and count else "many fires"
    begin, end = (when.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") for when in (first, last))
    return f"missed {many} from {begin} to {end} ({facts['reason']})"


def _color(event: Event) -> str:
    if event.happening is Happening.ENDED:
        return color_of(str(event.facts["outcome"])) or "red"
    return "yellow" if event.happening in UNUSUAL else ""


def _mark(event: Event, screen: Screen) -> str:
    """What tells an event at a glance: on a terminal each line has one, or the room for it."""
    if not screen.pretty or not screen.unicode:
        return ""
    word = str(event.facts["outcome"]) if event.happening is Happening.ENDED else MARKED.get(event.happening, "")
    return f"{mark(word, screen)} " if word in LOOKS else "  "


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.value if isinstance(value, Happening) else value
