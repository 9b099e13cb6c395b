"""A foreground on a clock that is only thought: the runner's own rules and its own ledger, with runs that take no time.

What is due, whose turn it is and what is tried again is decided by the very functions that decide for a runner, over a
ledger in memory. Stood in for are the clock, the locks, and the runs, which last as long as they are said to last. A
run that ends at the instant of a fire still holds its lock then: a real one ends a little later.
"""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.ledger import Beginning, Skip, Wait
from runjobs.adapters.ledger.pruning import Keep
from runjobs.core.again import again_at
from runjobs.core.fire import EPOCH, WaitFor
from runjobs.core.outcome import Outcome
from runjobs.core.plan import Boot, look_on
from runjobs.core.run import RunEnd, Start
from runjobs.core.turn import Busy, End, Go, Stay, Turn, judge, judge_busy, replaces
from runjobs.runner.engine import decide_all
from runjobs.runner.line import Line, Place, place_of
from runjobs.runner.rehearsal.props import RUNNER, Holder, Locks, ledger_in_memory, seed
from runjobs.runner.surroundings import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runjobs.adapters.ledger import Claimed
    from runjobs.core.fire import Fire, Mark
    from runjobs.core.job import Job
    from runjobs.core.pausing import Pause
    from runjobs.core.plan import Decision
    from runjobs.core.simulation import Habit, Tally

BOOT: Final = Boot("rehearsal", datetime(1970, 1, 2, tzinfo=UTC))  # long ago: no @reboot is due
STOP_TAKES: Final = timedelta(milliseconds=10)  # from the TERM to a run that makes way to its end
TICK: Final = timedelta(milliseconds=1)
KEPT: Final = 20  # fires of a job in the memory of the ledger: the rules ask for the newest only
OFTEN: Final = 200  # ends between two prunings, and instants between two signs of progress


class Running(NamedTuple):
    """A run that goes on: of which fire, under which locks, and how it is going to end."""

    claimed: Claimed
    job: Job
    began: datetime
    ends: datetime
    outcome: str
    reason: str
    locks: tuple[str, ...]


class Rehearsal:
    """One play of a window of time; `slow` has every run take as long as a slow one."""

    def __init__(
        self,
        jobs: Mapping[str, Job],
        habits: Mapping[str, Habit],
        tally: Tally,
        most: int | None,
        *,
        slow: bool = False,
    ) -> None:
        """`most` is how many runs may go on at once (None: no bound)."""
        self._jobs = jobs
        self._habits = habits
        self._tally = tally
        self._most = most
        self._slow = slow
        self._ledger = ledger_in_memory()
        self._line = Line()
        self._now = EPOCH
        self._begun = EPOCH
        self._queue: list[tuple[datetime, str]] = []
        self._ends: list[tuple[datetime, str]] = []
        self._alarms: list[datetime] = []
        self._runs: dict[str, Running] = {}
        self._locks = Locks()
        self._numbers = count(1)
        self._ended: list[str] = []

    def prepare(self, at: datetime, pauses: Iterable[Pause] = ()) -> None:
        """Have the jobs that others come after end well before an instant; and have these pauses."""
        for pause in pauses:
            self._ledger.pause(pause)
        seed(self._ledger, self._jobs, at)

    def play(self, start: datetime, end: datetime, tell: Callable[[float], object] = lambda _: None) -> None:
        """Follow the schedules from an instant up to another; `tell` hears now and then how much of it is done."""
        self._now = self._begun = start
        self._pass(None)
        entered = False
        for number in count():
            at = self._next()
            if not entered and (at is None or at >= self._tally.start):
                entered = True
                self._tally.look(self._tally.start)
            if at is None or at >= end:
                break
            self._now = at
            if number % OFTEN == 0:
                tell((at - start) / (end - start))
            if names := self._due():
                self._pass(names)
            self._take_ends()
            self._serve()
            self._tally.look(at)

    @property
    def waiting(self) -> int:
        """How many fires wait."""
        return len(self._line)

    def _next(self) -> datetime | None:
        """The next instant at which anything happens."""
        firsts = [heap[0][0] for heap in (self._queue, self._ends) if heap]
        return min([*firsts, *self._alarms[:1]], default=None)

    def _due(self) -> list[str]:
        names = []
        while self._queue and self._queue[0][0] <= self._now:
            names.append(heapq.heappop(self._queue)[1])
        return names

    def _pass(self, names: Sequence[str] | None) -> None:
        """Claim what is due and begin it, as an engine does."""
        look, held = look_on(self._now, self._begun, BOOT), dict[str, "Mark"]()

        def decided(marks: Mapping[str, Mark]) -> list[Decision]:
            decisions = decide_all(self._jobs, look, names, marks, held)
            self._count(decisions)
            return decisions

        claims = self._ledger.claim(RUNNER, self._now, names, decided, self._begin)
        for decision in claims.decisions:
            held[decision.job] = decision.mark
        for waiting in claims.superseded:
            self._line.drop(waiting.fire_id)
            if not waiting.attempts:
                self._give_up(waiting.fire, Outcome.MISSED.value, "superseded", "a newer fire took its place")
        for name, mark in held.items():
            if mark.next_start is not None:
                heapq.heappush(self._queue, (mark.next_start, name))

    def _count(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            for fire in decision.claims:
                tally = self._tally.of(fire.job, fire.scheduled_at)
                tally.fires += 1
                tally.overlaps += self._tally.goes_on(fire.job)
            for miss in decision.missed:
                tally = self._tally.of(miss.job, miss.first)
                tally.fires += miss.number
                tally.missed[miss.reason] += miss.number

    def _begin(self, claims: Sequence[Claimed]) -> Beginning:
        """Settle what becomes of each claim, within the ledger's transaction: see `runner.start.Batch`."""
        around = Surroundings(self._ledger, self._jobs, self._now, self._most)
        starts: list[Start] = []
        skips: list[Skip] = []
        waits: list[Wait] = []
        for claimed in claims:
            job = self._jobs[claimed.fire.job]
            turn = Turn(job, claimed.fire, claimed.attempts, claimed.wait, claimed.since, claimed.not_before)
            verdict = judge(turn, around.facts(turn))
            held = self._seize(turn) if isinstance(verdict, Go) else ()
            if isinstance(held, Busy):
                verdict = _said_plainly(judge_busy(turn, held), held)
            if isinstance(verdict, Stay):
                waits += self._hold(claimed, job, verdict)
            elif isinstance(verdict, End):
                skips.append(self._refuse(claimed, verdict))
            elif not isinstance(held, Busy):
                around.count_start()
                starts.append(self._start(claimed, job, held))
        return Beginning(starts, skips, waits)

    def _seize(self, turn: Turn) -> tuple[str, ...] | Busy:
        found = self._locks.find(turn.job)
        if isinstance(found, Busy) and replaces(turn, found):
            self._make_way(str(found.holder["run"]))
        return found

    def _make_way(self, name: str) -> None:
        """End a run in favour of a newer fire of its job."""
        run = self._runs[name]
        if run.reason != "replaced":
            ends = min(run.ends, self._now + STOP_TAKES)
            self._runs[name] = run._replace(ends=ends, outcome=Outcome.STOPPED.value, reason="replaced")
            heapq.heappush(self._ends, (ends, name))

    def _hold(self, claimed: Claimed, job: Job, stay: Stay) -> list[Wait]:
        place = place_of(claimed, stay.wait, self._now, stay.detail)
        if self._line.put(claimed.fire_id, place):
            within = job.options.start_within + TICK
            for since in {self._now, claimed.since or self._now}:
                heapq.heappush(self._alarms, max(since + within, self._now))
        if claimed.wait is stay.wait:
            return []
        self._tally.of(job.name, claimed.fire.scheduled_at).waits[stay.wait.value] += 1
        return [Wait(claimed.fire_id, place.wait, place.not_before)]

    def _refuse(self, claimed: Claimed, end: End) -> Skip:
        self._line.drop(claimed.fire_id)
        if not claimed.attempts:
            self._give_up(claimed.fire, end.outcome, end.reason, end.detail)
        return Skip(claimed.fire_id, end.outcome, end.reason, end.detail)

    def _give_up(self, fire: Fire, outcome: str, reason: str, detail: str) -> None:
        tally = self._tally.of(fire.job, fire.scheduled_at)
        (tally.skipped if outcome == Outcome.SKIPPED.value else tally.missed)[reason] += 1
        tally.said = detail
        self._line.stir()  # who comes after it hears of it

    def _start(self, claimed: Claimed, job: Job, held: tuple[str, ...]) -> Start:
        name = f"{next(self._numbers):012}"
        self._line.drop(claimed.fire_id)
        ends, outcome, reason = self._fate(job)
        self._runs[name] = Running(claimed, job, self._now, ends, outcome, reason, held)
        self._locks.take(held, Holder(name, job.name, self._now))
        heapq.heappush(self._ends, (ends, name))
        tally = self._tally.of(job.name, claimed.fire.scheduled_at)
        if claimed.attempts:
            tally.tries += 1
        else:
            tally.starts += 1
            tally.longest_wait = max(tally.longest_wait, self._now - (claimed.since or self._now))
        self._tally.begin(name, job.name, self._now)
        return Start(name, claimed.fire_id, claimed.attempts + 1, "", "")

    def _fate(self, job: Job) -> tuple[datetime, str, str]:
        """When a run that begins now is going to end, and how."""
        habit = self._habits[job.name]
        took, timeout = habit.slow if self._slow else habit.took, job.options.timeout
        if timeout is not None and took > timeout:
            return self._now + timeout, Outcome.TIMEOUT.value, "timeout"
        reason = {Outcome.FAILED.value: "exit", Outcome.TIMEOUT.value: "timeout"}.get(habit.outcome, "")
        return self._now + took, habit.outcome, reason

    def _take_ends(self) -> None:
        """End the runs whose time has come: their locks are free, and who is to be tried again waits."""
        ends = []
        while self._ends and self._ends[0][0] <= self._now:
            _, name = heapq.heappop(self._ends)
            if name in self._runs and self._runs[name].ends <= self._now:
                ends.append(self._end(name))
        if ends:
            self._ledger.record([], ends)
            self._line.stir()

    def _end(self, name: str) -> RunEnd:
        run = self._runs.pop(name)
        self._locks.let_go(run.locks)
        self._tally.end(name)
        attempt = run.claimed.attempts + 1
        end = RunEnd(name, run.outcome, run.reason, exit_code=self._habits[run.job.name].exit_code,
                     started_at=run.began.timestamp(), ended_at=run.ends.timestamp())  # fmt: skip
        again = again_at(run.job.options, attempt, end)
        if again is None:
            self._tally.of(run.job.name, run.claimed.fire.scheduled_at).ends[run.outcome] += 1
        else:
            at = datetime.fromtimestamp(again, UTC)
            self._line.put(run.claimed.fire_id, Place(run.job.name, WaitFor.RETRY, at))
            heapq.heappush(self._alarms, at + TICK)
        self._tidy(run.job.name)
        return end._replace(again_at=again)

    def _tidy(self, job: str) -> None:
        """Let go of old fires, or a long play would fill the memory."""
        self._ended.append(job)
        if len(self._ended) == OFTEN:
            self._ledger.prune([Keep(name, KEPT, None) for name in set(self._ended)], self._now)
            self._ended.clear()

    def _serve(self) -> None:
        """Try who waits, where anything has ended or anybody's time has come."""
        while self._alarms and self._alarms[0] <= self._now:
            heapq.heappop(self._alarms)
            self._line.stir()
        if not self._line:
            return
        room = None if self._most is None else self._most - len(self._runs)
        if fires := self._line.due(self._now, room):
            self._ledger.start_waiting(RUNNER, self._now, fires, self._begin)


def _said_plainly(verdict: Stay | End, busy: Busy) -> Stay | End:
    """Name the job that holds a lock: the ids of runs that are only thought tell nobody anything."""
    if busy.places:
        return verdict
    return verdict._replace(detail=f"{busy.holder['job']} holds the lock {busy.name}")
