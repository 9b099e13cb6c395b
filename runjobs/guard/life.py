"""The life of a guard: start, watch, end, report, let go. One run, straight down the page."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from typing import TYPE_CHECKING

from runjobs.adapters import process, tree
from runjobs.adapters.joblog import JobLog
from runjobs.adapters.launch import LaunchError
from runjobs.core.again import again_at
from runjobs.core.job import Leftovers
from runjobs.core.outcome import Exit, Outcome, Verdict, judge
from runjobs.core.run import RunEnd
from runjobs.guard import account
from runjobs.guard.assignment import Passthrough
from runjobs.guard.ending import NEVER, Ending, milliseconds_to
from runjobs.guard.group import Group
from runjobs.guard.messages import Ack, Stop, Stuck
from runjobs.guard.orders import Orders
from runjobs.guard.pump import open_pump
from runjobs.guard.start import Begun, Streams, fork_starter, start_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.guard.assignment import Assignment
    from runjobs.guard.start import Starter

NOTE_AFTER = 0.5  # seconds; a runner that has not answered by then may be dead soon, and nobody else may be there
ACK_PATIENCE = 30.0  # seconds for the runner to record an end; one that is suspended must not keep the lock
FLUSH_PATIENCE = 2.0  # seconds for the reader of prefixed lines; the locks are free by then


def guard(assignment: Assignment, record_alone: Callable[[RunEnd], None]) -> None:
    """Live the life of a guard. The caller has forked, and exits after this.

    Whatever goes wrong in here, the job does not go on unguarded, and its run gets an end.
    """
    gc.disable()  # a collection would write to, and so copy, every page shared with the runner
    life = _Life(assignment, record_alone)
    try:
        life.live()
    except Exception as error:  # noqa: BLE001 (a mistake of ours: it goes on the record of the run)
        life.break_off(error)


class _Life:
    def __init__(self, assignment: Assignment, record_alone: Callable[[RunEnd], None]) -> None:
        self._assignment = assignment
        self._options = assignment.job.options
        self._channel = assignment.channel
        self._record_alone = record_alone
        self._orders = Orders(assignment.run_id, assignment.lock_fds)
        self._signals = process.open_signals()
        self._log = JobLog(assignment.log_path, self._options.log_limit)
        self._pump, self._stdout, self._stderr = open_pump(assignment, self._log)
        self._started_at, self._began = time.time(), time.monotonic()
        self._ended: float | None = None
        timeout = self._options.timeout
        self._deadline = self._began + timeout.total_seconds() if timeout is not None else NEVER
        self._group = Group(assignment, self._began)
        self._starter: Starter | None = None  # until its report is in
        self._main = 0  # pid of the job's shell; 0: it has not started
        self._main_end: Exit | None = None
        self._used = process.Used()
        self._inherited_memory = 0
        self._is_childless = False  # the guard adopts all orphans below it: no child means that nobody is left
        self._failure: Verdict | None = None  # why it did not start
        self._ending: Ending | None = None
        self._leftovers: tuple[tuple[int, str], ...] = ()
        self._stops = 0
        self._is_stuck = False
        self._is_acknowledged = False
        self._is_reported = False

    def live(self) -> None:
        self._start()
        self._watch()
        self._ended = time.monotonic()
        self._see_to_leftovers()
        self._pump.take_present()
        if not self._pump.is_open:
            self._log.close()
        self._group.close(is_empty=self._is_childless)
        self._report(self._describe())
        self._let_go()
        self._drain()

    def break_off(self, error: Exception) -> None:
        """End after a mistake of ours: nothing of the job goes on, and the record says why."""
        if self._is_reported:
            return  # what goes wrong after that concerns nobody
        tree.kill(os.getpid())
        self._group.leave()
        self._log.close()
        self._failure = account.guard_failed(error)
        self._ended = self._ended or time.monotonic()
        self._report(self._describe())

    def _start(self) -> None:
        streams = Streams(self._stdout, self._stderr)
        try:
            streams = streams._replace(entrance=self._group.confine())
            if self._assignment.equip is None and streams.entrance is None:
                begun = start_here(self._assignment, streams, self._started_at)
                self._main, self._inherited_memory = begun
            else:
                self._starter = fork_starter(self._assignment, streams, self._started_at)
        except LaunchError as error:
            self._fail(Verdict(Outcome.ERROR, error.reason, error.detail))
        except OSError as error:
            self._fail(Verdict(Outcome.ERROR, "start", f"no process could be made: {error.strerror}"))
        for descriptor in {fd for fd in streams if fd is not None}:
            os.close(descriptor)

    def _hear_starter(self, starter: Starter) -> None:
        report = starter.report()
        os.close(starter.descriptor)
        self._starter = None
        os.waitpid(starter.pid, 0)  # it has nothing more to do than to exit; then its child is ours
        if isinstance(report, Begun):
            self._main, self._inherited_memory = report
        elif self._ending is None and report is not None:
            self._fail(report)

    def _fail(self, verdict: Verdict) -> None:
        """It did not start; what a starter has started, if it was killed in the middle of it, does not go on."""
        self._failure = verdict
        self._begin_ending(None, 0.0)

    def _watch(self) -> None:
        """Wait for the main process to end; or once the whole tree is being ended, for the last of it."""
        while True:
            self._reap()
            if self._is_over():
                return
            self._enforce(time.monotonic())
            self._turn(min(self._group.enlist_at, self._deadline) if self._ending is None else self._ending.next_at)

    def _is_over(self) -> bool:
        if self._ending is not None:
            return self._is_childless
        return self._main_end is not None or (self._main != 0 and self._is_childless)

    def _reap(self) -> None:
        """Take leave of every child that has ended; the starter is not waited for here while its report is due."""
        try:
            while self._starter is None and (reaped := process.reap()) is not None:
                self._used = self._used.plus(reaped.usage)
                if reaped.pid == self._main:
                    self._main_end = reaped.end
        except ChildProcessError:
            self._is_childless = True

    def _enforce(self, now: float) -> None:
        if self._ending is None and now >= self._deadline:
            self._begin_ending(account.timed_out(self._options.timeout), self._options.kill_after.total_seconds())
        if self._ending is None:
            self._group.enlist(now)
        if self._ending is not None:
            self._ending.step(now)
            if self._ending.stuck and not self._is_stuck:
                self._is_stuck = True
                self._channel.send(Stuck(self._assignment.run_id, account.named(self._ending.stuck)))

    def _turn(self, until: float) -> None:
        """Wait until something happens, or until that time, and see to what happened."""
        poller = select.poll()
        poller.register(self._signals, select.POLLIN)
        if self._starter is not None:
            poller.register(self._starter.descriptor, select.POLLIN)
        if self._channel.is_open:
            poller.register(self._channel, select.POLLIN)
        for descriptor, events in self._pump.interests():
            poller.register(descriptor, events)
        ready = {descriptor for descriptor, _ in poller.poll(milliseconds_to(until))}
        if self._starter is not None and self._starter.descriptor in ready:
            self._hear_starter(self._starter)
        # signals before messages: a message is sent before its signal, so it is there when the signal is
        heard = process.read_signals(self._signals) if self._signals in ready else []
        if heard or (self._channel.is_open and self._channel.fileno() in ready):
            self._obey([each for each in heard if each.number == signal.SIGTERM])
        self._pump.turn(ready)

    def _obey(self, terms: list[process.Heard]) -> None:
        messages = self._channel.receive()
        self._is_acknowledged |= any(isinstance(message, Ack) for message in messages)
        for stop in self._orders.stops(messages, terms):
            self._stops += 1
            if self._ended is None or self._ending is not None:
                self._stop(stop)

    def _stop(self, stop: Stop) -> None:
        now = time.monotonic()
        own = self._options.kill_after.total_seconds()
        kill_after = stop.kill_after if stop.kill_after is not None else own
        if self._ending is None:
            self._begin_ending(account.stopped(stop), kill_after)
        else:
            self._ending.hurry(now if self._stops > 1 else now + kill_after)

    def _begin_ending(self, verdict: Verdict | None, kill_after: float) -> None:
        self._ending = Ending(verdict, self._group.leaf, time.monotonic(), kill_after)

    def _see_to_leftovers(self) -> None:
        if self._ending is not None or self._is_childless:
            return
        is_dying = self._group.is_killed()
        self._leftovers = () if is_dying else account.named(tree.descendants(os.getpid()))
        if is_dying or (self._leftovers and self._options.leftovers is Leftovers.KILL):
            self._begin_ending(None, 0.0 if is_dying else self._options.kill_after.total_seconds())
            self._watch()

    def _describe(self) -> RunEnd:
        verdict = self._verdict()
        code, number = self._main_end or Exit()
        end = RunEnd(
            self._assignment.run_id,
            verdict.outcome.value,
            verdict.reason,
            verdict.detail,
            code,
            number,
            self._started_at if self._main else 0.0,
            self._started_at + (self._ended or time.monotonic()) - self._began,  # by the clock that nobody sets
            *self._group.correct(self._used.above(self._inherited_memory)),
            output_bytes=self._log.total,
            dropped_bytes=self._log.dropped,
            leftovers=self._leftovers,
        )
        return end._replace(again_at=again_at(self._options, self._assignment.attempt, end))

    def _verdict(self) -> Verdict:
        verdict = self._failure
        if verdict is None and self._ending is not None and self._ending.verdict is not None:
            hung = None if self._main else self._options.cwd or "its folder"
            now = self._ended or time.monotonic()
            verdict = account.after_ending(self._ending.verdict, self._ending, now, hung)
        if verdict is None and self._main_end is not None:
            verdict = self._group.judge(judge(self._main_end, self._options.success_codes))
        return account.without_log(verdict or account.LOST, self._log.trouble)

    def _report(self, end: RunEnd) -> None:
        """Have the end recorded: by the runner, or where it is gone or does not answer, by ourselves."""
        self._channel.send(end)
        if not self._wait_for_ack(NOTE_AFTER):
            self._note(end)
        if not self._wait_for_ack(ACK_PATIENCE):
            with contextlib.suppress(Exception):  # the caller has said what it can; recovery settles what has no end
                self._record_alone(end)
        self._is_reported = True

    def _wait_for_ack(self, seconds: float) -> bool:
        patience = time.monotonic() + seconds
        while self._channel.is_open and not self._is_acknowledged and time.monotonic() < patience:
            self._turn(patience)
        return self._is_acknowledged

    def _note(self, end: RunEnd) -> None:
        """Tell the lock file; that it can't be written, on a disk that is full, is no reason to stop."""
        if self._assignment.note is not None:
            with contextlib.suppress(OSError):
                self._assignment.note(end)

    def _let_go(self) -> None:
        """Free the locks, give the last output to its reader, and then leave the runner's streams."""
        self._orders.close()
        for descriptor in self._assignment.lock_fds:
            os.close(descriptor)
        patience = NEVER if self._assignment.mode is Passthrough.LIVE else time.monotonic() + FLUSH_PATIENCE
        stops = self._stops
        while self._pump.is_pending and time.monotonic() < patience and self._stops == stops:
            self._turn(patience)
        self._pump.let_go()
        for descriptor in (1, 2):
            os.dup2(0, descriptor)  # which is /dev/null
        self._channel.close()

    def _drain(self) -> None:
        """Go on reading for whoever still holds the job's pipe, so that talking neither blocks nor kills it.

        And stay with those whom a job with limits left behind: their group, and so their limits, ends with us.
        """
        stops = self._stops
        self._reap()
        while (self._pump.is_open or self._has_kept()) and self._stops == stops:
            self._turn(NEVER)
            self._reap()
        self._log.close()
        self._group.leave()

    def _has_kept(self) -> bool:
        return self._group.is_limited and self._group.leaf is not None and not self._is_childless
