"""What the three ways in share: one state folder, one ledger, one crew, and the pass over all that is due."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import cgroup, clock, locks
from runjobs.adapters.ledger import LedgerError, RunnerId
from runjobs.adapters.ledger.pruning import Keep
from runjobs.core.clockwatch import sentence_on_resets
from runjobs.core.environment import RunFacts
from runjobs.core.event import Event, Happening
from runjobs.core.fire import milliseconds
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.plan import Boot, decide, refreshed
from runjobs.core.run import run_id
from runjobs.guard import Assignment, Passthrough, warm
from runjobs.record import record_end
from runjobs.runner import recovery, succession
from runjobs.runner.changed import clear, equip_with, note_and_clear
from runjobs.runner.crew import Crew, nobody_asks
from runjobs.runner.equip import QuickEquip, equip
from runjobs.runner.limits import Grounds
from runjobs.runner.messenger import Messenger
from runjobs.runner.onces import Onces, tidy
from runjobs.runner.queue import Queue
from runjobs.runner.start import BATCH, Batch, holder, launch
from runjobs.runner.triggers import Triggers
from runjobs.runner.watch import ClockWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.fire import Mark
    from runjobs.core.job import Job
    from runjobs.core.plan import Decision, Look
    from runjobs.core.run import RunEnd
    from runjobs.guard import Channel
    from runjobs.runner.crew import Member
    from runjobs.runner.start import Ready, Refusal

    Report = Callable[[Event], None]


class Manner(NamedTuple):
    """What kind of runner this is, where its runs' output goes besides the log, and where they run (None: home).

    `most` is how many runs may go on at once on its state folder, so that this runner starts one more (None: no bound).
    `umask` is that of jobs that name none (None: the runner's own).
    `trust` lets env-files pass that others could have written. `own` are files that runners write outside the state
    folder: nobody watches them.
    """

    kind: str
    passthrough: Passthrough
    cwd: str | None
    most: int | None = None
    trust: bool = False
    umask: int | None = None
    own: tuple[str, ...] = ()


class Engine:
    """One runner: its identity and lock, its ledger and its crew."""

    def __init__(self, state: StateFolder, ledger: Ledger, manner: Manner, report: Report) -> None:
        """Take a runner's lock, and from then on be one that claims."""
        self.state = state
        self.ledger = ledger
        self.report = report
        self.now = clock.now
        self.monotonic = time.monotonic
        self.boot = Boot(*clock.boot())
        self._manner = manner
        self._nofile = raise_nofile()
        self._cgroup = cgroup.find_base()
        self._is_swept = False
        self._grounds = Grounds()
        self._quick = QuickEquip(manner.cwd)
        self._lock = locks.take_slot(state.locks / "runner")
        self.runner = self._introduce(manner.kind)
        self.crew = Crew(ledger, report, self.now)
        self.crew.on_end = self._ended
        self.on_end: Callable[[Member, RunEnd], object] = nobody_asks
        self.queue = Queue(self)
        self.onces = Onces(ledger)
        self.messenger = Messenger(ledger, state)
        self.triggers = Triggers(ledger, str(state.root), self.mention, manner.own)
        self.most = manner.most
        self.watch = ClockWatch()
        self._keeps: dict[str, Keep] = {}
        warm()

    def _introduce(self, kind: str) -> RunnerId:
        """Write into the runner's lock who holds it: claims name the same, so that a dead runner's are known."""
        name = f"{kind}-{os.getpid()}-{run_id(milliseconds(self.now()), os.getpid())}"
        self._record = {"runner": name, "pid": os.getpid(), "since": self.now().isoformat()}
        self._sign()
        return RunnerId(name, self._lock.path)

    def _sign(self) -> None:
        """Sign the runner's lock, once there is room for that on the disk."""
        if self._record:
            with contextlib.suppress(OSError):
                locks.write(self._lock.fd, self._record)
                self._record = {}

    def run_due(self, jobs: Mapping[str, Job], look: Look, only: Sequence[str] | None = None) -> dict[str, Mark]:
        """One pass: recover, claim what is due, start it. The marks that hold from here on, of all jobs looked at."""
        self._sign()
        self.recover(jobs)
        jobs = self._with_onces(jobs)
        self.messenger.keep(jobs, only)
        look = look._replace(**self.watch.look(self.ledger, self.report)._asdict())
        look = look._replace(noticed=self.triggers.notice(jobs, look, only))
        held: dict[str, Mark] = {}
        gone: set[str] = set()

        def decided(marks: Mapping[str, Mark]) -> list[Decision]:
            if only is None:
                gone.update(marks.keys() - active(jobs))
            return decide_all(jobs, look, only, marks, held)

        batch = Batch(self, jobs)
        try:
            claims = self.ledger.claim(self.runner, look.now, only, decided, batch.begin_some)
            for decision in claims.decisions:
                held[decision.job] = decision.mark
                self._tell_missed(decision, look)
            if told := sentence_on_resets(claims.decisions):
                self.report(Event(look.now, Happening.WARNING, facts={"message": told}))
            self.queue.give_way(claims.superseded, jobs)
            with self.still():
                batch.fork()
        finally:
            batch.close()
        if gone:
            self.ledger.forget(gone)
        self.launch([claimed.fire_id for claimed in claims.claimed[BATCH:]], jobs)
        self.queue.serve(jobs)
        self.watch.keep(self.ledger)
        return held

    def _tell_missed(self, decision: Decision, look: Look) -> None:
        for miss in decision.missed:
            facts = {"first": miss.first, "last": miss.last, "count": miss.number, "reason": miss.reason}
            self.report(Event(look.now, Happening.MISSED, miss.job, facts=facts))

    def _ended(self, member: Member, end: RunEnd) -> None:
        self.queue.take_end(member, end)
        clear(member.log)
        options = member.job.options
        self._keeps[member.job.name] = Keep(member.job.name, options.history, options.history_for)
        self.on_end(member, end)

    def tidy(self) -> None:
        """Let go of what is past keeping of the jobs that have run since the last time: a little, in passing."""
        keeps, self._keeps = list(self._keeps.values()), {}
        if keeps:
            with contextlib.suppress(LedgerError):  # a full disk: after the next run
                self.ledger.prune(keeps, self.now())
                if any(keep.job.startswith(ONCE_PREFIX) for keep in keeps):
                    tidy(self.ledger, self.state, self.now())
                if not self._is_swept:
                    self._is_swept = True
                    recovery.sweep(self.ledger.end_of, self._cgroup, self.crew.known)

    def recover(self, jobs: Mapping[str, Job]) -> None:
        """Settle what dead runners and dead guards left: runs are ended, claims taken over and started."""
        self.onces.refresh()
        jobs = self._with_onces(jobs)
        succession.recover(self, jobs)
        if self._manner.kind == "foreground":
            succession.adopt_living(self, jobs)
        orphans = recovery.settle_claims(self.ledger, self.state.locks, self.runner, jobs, self.now())
        self.launch([orphan.fire_id for orphan in orphans], jobs)
        self.queue.adopt(jobs)

    def _with_onces(self, jobs: Mapping[str, Job]) -> Mapping[str, Job]:
        return self.onces.beside(jobs) if self.onces.jobs else jobs

    def launch(self, fires: Sequence[int], jobs: Mapping[str, Job]) -> list[Refusal]:
        """Start fires that were claimed; what kept the others from starting."""
        if not fires:
            return []
        with self.still():
            return launch(self, fires, jobs)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Forking: a guard shares the memory of its runner; a collection would write to it, and copy it, all over."""
        self._quick.refresh()
        gc.disable()
        gc.freeze()
        try:
            yield
        finally:
            gc.enable()

    def settle_bereaved(self) -> None:
        """End the runs whose guard died without a word; what can't be settled in time is left to the next recovery."""
        succession.settle_bereaved(self)

    def warn(self, error: Exception) -> None:
        """Tell of something that went wrong and did not stop the runner."""
        self.mention(str(error))

    def mention(self, text: str) -> None:
        """Tell of something that a person should know."""
        self.report(Event(self.now(), Happening.WARNING, facts={"message": text}))

    def conclude(self, member: Member, end: RunEnd) -> None:
        """Have the end of a run recorded that never began, and tell of it; recovery finds what the ledger refuses."""
        try:
            self.ledger.record((), [end])
        except LedgerError as error:
            self.warn(error)
        self.crew.finish(member, end)

    def assignment(self, one: Ready, log: str, channel: Channel) -> Assignment:
        """All that the guard of a run needs, which holds its locks and stands in the ledger."""
        facts = RunFacts(one.run_id, one.claimed.fire.scheduled_at, one.attempt)
        quick = self._quick.equipment(one.job, facts) if one.taken is None else None
        slowly = partial(equip, one.job, facts, self._manner.cwd, trust=self._manner.trust)
        note = partial(recovery.note, one.locks, holder(one, self))
        if one.taken is not None:
            slowly, note = partial(equip_with, one.taken.paths, log, slowly), partial(note_and_clear, log, note)
        return Assignment(
            run_id=one.run_id,
            job=one.job,
            channel=channel,
            environment=quick.environment if quick else {},
            cwd=quick.cwd if quick else "",
            equip=None if quick else slowly,
            note=note,
            log_path=log,
            lock_fds=tuple(lock.fd for lock in one.locks),
            mode=self._manner.passthrough,
            nofile=self._nofile,
            cgroup=self._cgroup,
            ground=self._grounds.of(one.job),
            umask=self._manner.umask,
            attempt=one.attempt,
        )

    def record_alone(self, end: RunEnd) -> None:
        """In a guard whose runner is gone: have the end recorded."""
        record_end(self.state.ledger, end)

    def close(self) -> None:
        """Let go of the runner's lock."""
        os.close(self._lock.fd)


def active(jobs: Mapping[str, Job]) -> set[str]:
    """The names of the jobs that fire; a job that is switched off is like one that is gone."""
    return {name for name, job in jobs.items() if job.options.enabled}


def decide_all(
    jobs: Mapping[str, Job], look: Look, only: Sequence[str] | None, marks: Mapping[str, Mark], held: dict[str, Mark]
) -> list[Decision]:
    """Decide on each job, or on those in `only`; where nothing is to be written, its mark goes to `held`."""
    decisions = []
    for name in jobs if only is None else only:
        job, mark = jobs[name], marks.get(name)
        if not job.options.enabled:
            continue
        if (decision := decide(job, mark, look)) is not None:
            decisions.append(decision)
        elif mark is not None:
            held[name] = refreshed(job, mark)
    return decisions


def raise_nofile() -> tuple[int, int]:
    """Raise this process's limit of open files to the most it may have; the limit as it was, for the jobs."""
    given = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (given[1], given[1]))
    return given
