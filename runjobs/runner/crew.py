"""The guards of one runner: forked, heard, recorded, told to stop. One queue of events, one thread."""

from __future__ import annotations

import contextlib
import os
import selectors
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters import joblog, process
from runjobs.adapters.ledger import LedgerError
from runjobs.core.event import Event, Happening
from runjobs.core.run import RunEnd, Started
from runjobs.guard import Ack, Stuck, stop_guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.fire import Fire
    from runjobs.core.job import Job
    from runjobs.guard import Channel, Message, Stop


BEREAVED: Final = 0.05  # seconds between two looks at a run whose guard died, and whose lock is not free yet


class Member(NamedTuple):
    """A run of this runner: its job and fire, and where its output is kept."""

    run_id: str
    job: Job
    fire: Fire
    log: str


class Guard(NamedTuple):
    """The guard of a member: its pid, and our end of the channel to it."""

    member: Member
    pid: int
    channel: Channel


class Crew:
    """The runs that this runner has started and that have not ended."""

    def __init__(self, ledger: Ledger, report: Callable[[Event], None], now: Callable[[], datetime]) -> None:
        """Begin with nobody; `report` is told every event, `now` is the clock."""
        self.selector = selectors.DefaultSelector()
        self.guards: dict[str, Guard] = {}
        self.on_end: Callable[[Member, RunEnd], object] = _nobody_asks
        self.bereaved: list[Member] = []  # members whose guard died without a word: recovery settles them
        self._ledger = ledger
        self._report = report
        self._now = now
        self.is_patient = False  # whether to stay until the guards have passed on the last output to its reader
        self._acknowledged: set[str] = set()
        self._started: list[Started] = []
        self._ends: list[RunEnd] = []
        self._mute = False
        self._stop: Stop | None = None

    @property
    def is_busy(self) -> bool:
        """Whether any run has not ended yet."""
        return bool(self.guards or self.bereaved)

    def take_on(self, guard: Guard) -> None:
        """Hear a guard from here on."""
        self.guards[guard.member.run_id] = guard
        self.selector.register(guard.channel, selectors.EVENT_READ, partial(self._hear, guard))
        if self._stop is not None:  # the order came while the runs of one pass were being started
            self._tell_stop(guard, self._stop)

    def turn(self, timeout: float | None) -> None:
        """Wait for something to happen, at most `timeout` seconds, and deal with all that has."""
        if self.bereaved:
            timeout = BEREAVED if timeout is None else min(timeout, BEREAVED)
        for key, _ in self.selector.select(timeout):
            key.data()
        self._record()

    def stop_all(self, stop: Stop) -> None:
        """Ask every guard to end its run, those to come too; asked a second time, it kills at once."""
        self._stop = stop
        for guard in list(self.guards.values()):
            self._tell_stop(guard, stop)

    def listen(self, fd: int, heard: Callable[[], object]) -> None:
        """Have `heard` called in each turn in which `fd` is readable."""
        self.selector.register(fd, selectors.EVENT_READ, heard)

    def reap(self) -> None:
        """Take the exit of every dead child: guards, and as PID 1 whatever was orphaned; nobody becomes a zombie."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def leave(self) -> int:
        """Let go of the guards: they record for themselves from here on. Returns how many there are."""
        left = list(self.guards.values())
        for guard in left:
            self._close(guard)
        return len(left)

    def _tell_stop(self, guard: Guard, stop: Stop) -> None:
        allowed = guard.member.job.options.kill_after.total_seconds()
        wanted = allowed if stop.kill_after is None else min(stop.kill_after, allowed)
        stop_guard(guard.channel, guard.pid, stop._replace(kill_after=wanted))

    def _hear(self, guard: Guard) -> None:
        for message in guard.channel.receive():
            self._take(guard.member, message)
        if guard.channel.is_open or any(end.run_id == guard.member.run_id for end in self._ends):
            return
        self._close(guard)
        if guard.member.run_id in self._acknowledged:
            self._acknowledged.discard(guard.member.run_id)
        else:
            self.bereaved.append(guard.member)

    def _take(self, member: Member, message: Message) -> None:
        match message:
            case Started():
                self._started.append(_identified(message))
            case RunEnd():
                self._ends.append(message)
            case Stuck():
                facts = {"processes": message.processes}
                self._report(Event(self._now(), Happening.STUCK, member.job.name, member.run_id, facts))

    def _record(self) -> None:
        """Write all that was heard in this turn, then let the guards go: an end is on disk before its lock is free."""
        started, self._started = self._started, []
        ends, self._ends = self._ends, []
        is_written = self._write(started, ends) if started or ends else True
        for start in started:
            if (guard := self.guards.get(start.run_id)) is not None:
                self._tell_start(guard.member, start)
        for end in ends:
            if (guard := self.guards.get(end.run_id)) is not None:
                self._let_go(guard, is_written=is_written)
                self.finish(guard.member, end)

    def _let_go(self, guard: Guard, *, is_written: bool) -> None:
        """Answer that an end is on disk; where it is not, hang up, and the guard notes it in the run's lock file."""
        if is_written:
            guard.channel.send(Ack(guard.member.run_id))
        if is_written and self.is_patient:
            self._acknowledged.add(guard.member.run_id)
        else:
            self._close(guard)

    def finish(self, member: Member, end: RunEnd) -> None:
        """Take a run's end, recorded already, off the list, and tell of it."""
        self.on_end(member, end)
        with contextlib.suppress(OSError):  # an old log that can't be deleted is tried again after the next run
            joblog.prune(os.path.dirname(member.log), member.job.options.keep, self.guards.keys())
        self._report(Event(from_seconds(end.ended_at), Happening.ENDED, member.job.name, member.run_id, facts_of(end)))

    def _write(self, started: list[Started], ends: list[RunEnd]) -> bool:
        try:
            self._ledger.record(started, ends)
        except LedgerError as error:
            if not self._mute:
                self._report(Event(self._now(), Happening.WARNING, facts={"message": str(error)}))
            self._mute = True
            return False
        self._mute = False
        return True

    def _tell_start(self, member: Member, start: Started) -> None:
        facts = {"scheduled_at": member.fire.scheduled_at, "pid": start.process.pid}
        self._report(Event(from_seconds(start.started_at), Happening.STARTED, member.job.name, member.run_id, facts))

    def _close(self, guard: Guard) -> None:
        if self.guards.pop(guard.member.run_id, None) is not None:
            self.selector.unregister(guard.channel)
            guard.channel.close()


def _identified(started: Started) -> Started:
    """A guard that starts its job itself leaves it to us to look up who that process is."""
    if started.process.start_time:
        return started
    found = process.identity(started.process.pid)
    return started if found is None else started._replace(process=found)


def _nobody_asks(_member: Member, _end: RunEnd) -> None:
    """In the foreground the events tell it all."""


def facts_of(end: RunEnd) -> dict[str, Any]:
    """The facts that an `ended` event carries."""
    return {
        "outcome": end.outcome,
        "reason": end.reason,
        "detail": end.detail,
        "exit_code": end.exit_code,
        "signal": end.signal,
        "seconds": round(max(0.0, end.ended_at - end.started_at), 3) if end.started_at else None,
        "cpu_seconds": round(end.cpu_user + end.cpu_system, 3),
        "max_rss": end.max_rss,
        "output_bytes": end.output_bytes,
        "leftovers": [list(left) for left in end.leftovers],
    }


def from_seconds(seconds: float) -> datetime:
    """Seconds since the epoch as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
