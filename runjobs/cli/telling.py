"""What a run of runjobs tells: events as they happen, or a summary when something went wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from runjobs.adapters import joblog
from runjobs.adapters.outlet import Outlet
from runjobs.cli import streams
from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd
from runjobs.render.events import ended, json_line, text_line
from runjobs.render.screen import screen_of
from runjobs.render.text import printable
from runjobs.render.times import instant
from runjobs.runner.crew import facts_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from runjobs.core.job import Job
    from runjobs.runner.attending import Attendant
    from runjobs.runner.crew import Member

TAIL_LINES: Final = 20  # of a failed run's output in the summary: enough for a traceback, little enough to read
TOLD: Final = frozenset({Happening.MISSED, Happening.WARNING, Happening.STUCK, Happening.GIVEN_UP})
WHY: Final = frozenset({Happening.CLOCK_SET, Happening.SUSPENDED})  # told only beside what came of it
NEWS: Final = frozenset(
    {"down", "late", "suspended"}
)  # misses that a person should hear of; a superseded fire was made up for


class Teller:
    """Tells each event at once on standard output, in writes that never wait for its reader."""

    def __init__(self, zone: tzinfo | None, *, json_lines: bool) -> None:
        """Tell in this zone, as text or as JSON."""
        self._outlet = Outlet(sys.stdout.fileno(), lambda lines: lines)
        self._zone = zone
        self._screen = screen_of(sys.stdout)
        self._json = json_lines

    def tell(self, event: Event) -> None:
        """Tell one event."""
        line = json_line(event) if self._json else text_line(event, self._zone, self._screen)
        self._outlet.line(line.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))

    @property
    def attendants(self) -> Sequence[Attendant]:
        """None: lines that its reader has not taken yet go with the next one."""
        return ()

    def turn_over(self) -> None:
        """A stream is not ours to begin anew."""

    def flush(self) -> None:
        """Hand over what the reader takes now."""
        self._outlet.flush()


class Summary:
    """Keeps silent while all is well; at the end it says what went wrong."""

    def __init__(self, zone: tzinfo | None) -> None:
        """Tell times in this zone."""
        self.has_failure = False
        self._zone = zone
        self._lines: list[str] = []
        self._why: list[str] = []

    def tell(self, event: Event) -> None:
        """Keep what a person should hear of and no run of ours will tell: misses, warnings, old runs."""
        if event.happening is Happening.MISSED and event.facts["reason"] not in NEWS:
            return
        if event.happening is Happening.ENDED and not _is_trouble(event.facts["outcome"], event.facts["reason"]):
            return
        if event.happening is Happening.GIVEN_UP:
            self.has_failure = True
        if event.happening in TOLD | WHY:
            lines = self._why if event.happening in WHY else self._lines
            lines.append(f"runjobs: {text_line(event, self._zone, screen_of(sys.stderr))}")
        elif event.happening is Happening.ENDED and not event.facts.get("again_at"):
            self.has_failure = True
            if event.facts.get("recovered"):
                found = f" (run {event.run}, found now)" if event.run else ""
                self._lines.append(f"runjobs: {printable(event.job)}: {printable(ended(event.facts))}{found}")

    def add(self, ends: Sequence[tuple[Member, RunEnd]]) -> None:
        """Add the runs of this pass that failed, each with the tail of its output."""
        for member, end in ends:
            if _is_trouble(end.outcome, end.reason) and end.again_at is None:
                self.has_failure = True
                due = f"due {instant(member.fire.scheduled_at, self._zone)}"
                what = f"{member.job.name}: {ended(facts_of(end))}"
                run = f", run {member.run_id}" if member.run_id else ""
                self._lines.append(f"runjobs: {printable(what)} ({due}{run})")
                if run:
                    self._lines += [*_tail(member.log), f"  try: runjobs why {printable(member.job.name)}"]

    def print(self) -> None:
        """Say it all on standard error; nothing when there is nothing."""
        if self._lines:
            streams.complain("\n".join(self._why + self._lines))


def _is_trouble(outcome: object, reason: object) -> bool:
    """Whether a person should hear of an end; that a newer fire replaced a run is as its job wants it."""
    return Outcome(str(outcome)).is_trouble and reason != "replaced"


def tell_person(job: Job, end: RunEnd) -> None:
    """Say what the exit code of a run that a person asked for does not say."""
    if end.outcome != Outcome.FAILED.value or end.signal is not None:
        streams.complain(f"runjobs: {printable(job.name)} {printable(ended(facts_of(end)))}")


def tell_caller(event: Event) -> None:
    """Say to a person who runs a job why it does not start, what it waits for, and when it is tried again."""
    match event.happening:
        case Happening.SKIPPED:
            said = f"is not started: {event.facts['detail']}"
        case Happening.WAITING:
            said = f"waits: {event.facts['detail']}"
        case Happening.GIVEN_UP:
            said = f"is not tried again: {event.facts['detail']}"
        case Happening.ENDED if event.facts.get("again_at"):
            said = ended(event.facts)
        case Happening.WARNING:
            said = f"warning: {event.facts['message']}"
        case _:
            return  # the job's own output says the rest, and its exit code
    streams.complain(f"runjobs: {printable(f'{event.job} {said}'.strip())}")


def _tail(log: str) -> list[str]:
    if not os.path.exists(log):
        return ["  (no output)"]
    text = joblog.tail(log, TAIL_LINES).decode("utf-8", "backslashreplace")
    return [f"  | {printable(line)}" for line in text.splitlines()] + [f"  log: {printable(log)}"]
