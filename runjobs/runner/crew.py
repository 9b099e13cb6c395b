"""The guards of one runner: forked, adopted, heard, recorded, told to stop. One queue of events, one thread."""

from __future__ import annotations

import contextlib
import os
import selectors
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters import process
from runjobs.adapters.ledger import LedgerError
from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd, Started
from runjobs.guard import Ack, Stuck, stop_guard
from runjobs.runner.adoption import Wards
from runjobs.runner.oldlogs import prune_logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.fire import Fire
    from runjobs.core.job import Job
    from runjobs.core.run import Unended
    from runjobs.guard import Channel, Message, Stop
    from runjobs.runner.adoption import Ward


LONGEST: Final = 86_400.0  # seconds; epoll_wait(2) takes 2^31 milliseconds, some 24 days, at the most
BEREAVED: Final = 0.05  # seconds between two looks at a run whose guard died, and whose lock is not free yet


class Member(NamedTuple):
    """A run of this runner: its job and fire, and where its output is kept."""

    run_id: str
    job: Job
    fire: Fire
    log: str
    fire_id: int = 0


class Guard(NamedTuple):
    """The guard of a member: its pid, and our end of the channel to it.

    An undertaker stands where a guard stood that is dead, and says the same. `is_ours` is false where the run is
    another runner's.
    """

    member: Member
    pid: int
    channel: Channel
    is_undertaker: bool = False
    is_ours: bool = True


class Crew:
    """The runs that this runner has started and that have not ended."""

    def __init__(self, ledger: Ledger, report: Callable[[Event], None], now: Callable[[], datetime]) -> None:
        """Begin with nobody; `report` is told every event, `now` is the clock."""
        self.selector = selectors.DefaultSelector()
        self.guards: dict[str, Guard] = {}
        self.on_end: Callable[[Member, RunEnd], object] = nobody_asks
        self.bereaved: list[Member] = []  # members whose guard died without a word: recovery settles them
        self.wards = Wards(ledger, report, now)
        self._ledger = ledger
        self._report = report
        self._now = now
        self.is_patient = False  # whether to stay until the guards have passed on the last output to its reader
        self.is_brief = False  # whether an undertaker that is stuck is left to itself: a pass must end
        self.patience: dict[str, float] = {}  # until when the lock of a run is waited for whose guard died
        self.unseen: set[str] = set()  # runs that go on where nothing of them can be seen: told once
        self._acknowledged: set[str] = set()
        self._started: list[Started] = []
        self._ends: list[RunEnd] = []
        self._mute = False
        self._stop: Stop | None = None

    @property
    def is_busy(self) -> bool:
        """Whether any run has not ended yet."""
        return bool(self.guards or self.bereaved or self.wards)

    @property
    def number(self) -> int:
        """How many runs go on that it takes care of."""
        return len(self.guards) + len(self.wards)

    @property
    def known(self) -> set[str]:
        """The runs that are in its care: recovery leaves them alone."""
        return self.guards.keys() | {member.run_id for member in self.bereaved} | self.wards.ids()

    def take_on(self, guard: Guard) -> None:
        """Hear a guard from here on."""
        self.guards[guard.member.run_id] = guard
        self.selector.register(guard.channel, selectors.EVENT_READ, partial(self._hear, guard))
        if self._stop is not None:  # the order came while the runs of one pass were being started
            self._tell_stop(guard, self._stop)

    def adopt(self, ward: Ward) -> None:
        """Take care of a run that a dead runner has left to its guard."""
        self.wards.add(ward, self.selector)

    def turn(self, timeout: float | None) -> None:
        """Wait for something to happen, at most `timeout` seconds, and deal with all that has."""
        if self.bereaved or self.wards.orphaned:
            timeout = BEREAVED if timeout is None else min(timeout, BEREAVED)
        timeout = None if timeout is None else min(timeout, LONGEST)
        for key, _ in self.selector.select(self.wards.patience(timeout)):
            key.data()
        self._record()
        self.wards.look(self.tell_end, self.selector)

    def stop_all(self, stop: Stop) -> None:
        """Ask every guard to end its run, those to come too; asked a second time, it kills at once."""
        self._stop = stop
        for guard in list(self.guards.values()):
            self._tell_stop(guard, stop)
        self.wards.stop(stop)

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
        return len(left) + self.wards.leave(self.selector)

    def _tell_stop(self, guard: Guard, stop: Stop) -> None:
        if guard.is_undertaker:
            return  # it kills already
        stop_guard(guard.channel, guard.pid, stop.within(guard.member.job.options))

    def _hear(self, guard: Guard) -> None:
        for message in guard.channel.receive():
            self._take(guard, message)
        if guard.channel.is_open or any(end.run_id == guard.member.run_id for end in self._ends):
            return
        self._close(guard)
        if guard.member.run_id in self._acknowledged:
            self._acknowledged.discard(guard.member.run_id)
        elif guard.is_ours:
            self.bereaved.append(guard.member)

    def _take(self, guard: Guard, message: Message) -> None:
        match message:
            case Started():
                self._started.append(_identified(message))
            case RunEnd():
                self._ends.append(message)
            case Stuck():
                member = guard.member
                facts = {"processes": message.processes}
                self._report(Event(self._now(), Happening.STUCK, member.job.name, member.run_id, facts))
                if guard.is_undertaker and self.is_brief:
                    self._give_up(guard, message)

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
                self._finish(guard, end)

    def _give_up(self, guard: Guard, stuck: Stuck) -> None:
        """Leave an undertaker to itself: it records the end when there is one. What is known by now is told."""
        self._close(guard)
        detail = f"the guard of this run was killed; {len(stuck.processes)} of its processes can't be killed yet"
        now = self._now().timestamp()
        self._finish(guard, RunEnd(guard.member.run_id, Outcome.INTERRUPTED.value, "guard-died", detail, ended_at=now))

    def _finish(self, guard: Guard, end: RunEnd) -> None:
        if guard.is_ours:
            self.finish(guard.member, end)
        else:
            self.wards.has_news = True
            self.tell_end(guard.member, end, is_recovered=True)

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
        prune_logs(self._ledger, member.job, os.path.dirname(member.log), self._now())
        self.tell_end(member, end)

    def tell_end(self, run: Member | Unended, end: RunEnd, *, is_recovered: bool = False) -> None:
        """Tell of a run's end, whoever has recorded it; `is_recovered`: it was found without one."""
        job = run.job if isinstance(run.job, str) else run.job.name
        facts = facts_of(end) | ({"recovered": True} if is_recovered else {})
        self._report(Event(from_seconds(end.ended_at), Happening.ENDED, job, run.run_id, facts))

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
    pid = started.process.pid
    return started._replace(process=process.identity(pid) or process.gone(pid))


def nobody_asks(_member: Member, _end: RunEnd) -> None:
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
        "again_at": from_seconds(end.again_at) if end.again_at is not None else None,
    }


def from_seconds(seconds: float) -> datetime:
    """Seconds since the epoch as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
